// SPDX-License-Identifier: BSD-3-Clause
/// Compares what arrived with what the routing says, whatever the lists of blocks say that the methods were
/// made from.
#pragma once

#include "benchmarks/common/validate.hpp"
#include "benchmarks/moe/routing.hpp"

namespace mpix::bench {

class RoutedValidator : public Validator {
 public:
  /// Collective over the exchange's communicator. All arguments must outlive the validator.
  RoutedValidator(const Routing& routing, std::int64_t row, const Exchange& exchange, const Buffers& buffers);

  std::optional<std::string> find_error(std::uint64_t salt) const override;

 private:
  std::int64_t row_;
  const Buffers& buffers_;
  std::vector<Arrival> arrivals_;
};

}  // namespace mpix::bench
