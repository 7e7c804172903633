// SPDX-License-Identifier: BSD-3-Clause
#include "benchmarks/moe/verify.hpp"

#include <cstring>

#include "benchmarks/common/content.hpp"

namespace mpix::bench {

RoutedValidator::RoutedValidator(const Routing& routing, std::int64_t row, const Exchange& exchange,
                                 const Buffers& buffers)
    : Validator(exchange, buffers),
      row_(row),
      buffers_(buffers),
      arrivals_(arrivals(routing, comm_rank(exchange.comm))) {}

std::optional<std::string> RoutedValidator::find_error(std::uint64_t salt) const {
  buffers_.recv.fetch();
  std::vector<std::byte> expected(static_cast<std::size_t>(row_));
  for (std::size_t place = 0; place < arrivals_.size(); ++place) {
    const Arrival& arrival = arrivals_[place];
    Content(static_cast<std::uint64_t>(arrival.origin), salt)
        .write(expected.data(), arrival.token * row_, row_);
    const std::byte* const found = buffers_.recv.host() + static_cast<std::int64_t>(place) * row_;
    if (std::memcmp(found, expected.data(), expected.size()) == 0) continue;
    return "place " + std::to_string(place) + " does not hold the row of token " +
           std::to_string(arrival.token) + " of rank " + std::to_string(arrival.origin) + "; " +
           Validator::find_error(salt).value_or("the lists of blocks differ from the routing");
  }
  return Validator::find_error(salt);
}

}  // namespace mpix::bench
