// SPDX-License-Identifier: BSD-3-Clause
#include "transport/ucx/early.hpp"

#include <algorithm>

namespace mpix::transport::ucx {

bool EarlyArrivals::keep(const EarlyAnnouncement& arrival) {
  const Prefix& prefix = arrival.message.prefix;
  if (is_closed(prefix.communicator)) return false;
  kept_[{prefix.communicator, prefix.source}].push_back(arrival);
  return true;
}

int EarlyArrivals::source(std::uint64_t communicator) const noexcept {
  const auto first = kept_.lower_bound({communicator, 0});
  if (first == kept_.end() || first->first.first != communicator) return -1;
  return static_cast<int>(first->first.second);
}

std::vector<EarlyAnnouncement> EarlyArrivals::take(std::uint64_t communicator, std::uint64_t source) {
  const auto found = kept_.find({communicator, source});
  if (found == kept_.end()) return {};
  auto arrivals = std::move(found->second);
  kept_.erase(found);
  return arrivals;
}

std::vector<EarlyAnnouncement> EarlyArrivals::close(std::uint64_t communicator) {
  closed_[closings_++ % closed_.size()] = communicator;
  std::vector<EarlyAnnouncement> arrivals;
  for (auto next = kept_.lower_bound({communicator, 0});
       next != kept_.end() && next->first.first == communicator; next = kept_.erase(next))
    arrivals.insert(arrivals.end(), next->second.begin(), next->second.end());
  return arrivals;
}

std::vector<EarlyAnnouncement> EarlyArrivals::take_all() {
  std::vector<EarlyAnnouncement> arrivals;
  for (const auto& [key, kept] : std::exchange(kept_, {}))
    arrivals.insert(arrivals.end(), kept.begin(), kept.end());
  return arrivals;
}

bool EarlyArrivals::is_closed(std::uint64_t communicator) const noexcept {
  const auto last =
      closed_.begin() + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(closings_, closed_.size()));
  return std::find(closed_.begin(), last, communicator) != last;
}

}  // namespace mpix::transport::ucx
