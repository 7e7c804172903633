// SPDX-License-Identifier: BSD-3-Clause
#include "memory/stores.hpp"

#include <algorithm>
#include <ratio>

namespace mpix::memory {
namespace {

/// A piece that took longer than this many times the mean was interrupted.
constexpr std::uint64_t kInterrupted = 4;
/// Picoseconds a byte beyond which it does not matter.
constexpr std::uint64_t kMostCost = 1'000'000;
/// Of the favourite's cost, what the other way's must be below to become it: what differs less is noise.
using Better = std::ratio<7, 8>;

std::size_t index(Way way) noexcept {
  return static_cast<std::size_t>(way);
}

Way other(Way way) noexcept {
  return way == Way::cached ? Way::streaming : Way::cached;
}

}  // namespace

void CostMeter::note(Way way, std::uint64_t nanoseconds, std::size_t bytes) noexcept {
  alike_ = way == last_ ? alike_ + 1 : 1;
  last_ = way;
  if (alike_ <= warm_ || bytes == 0) return;
  std::uint32_t& known = costs_[index(way)];
  const std::uint64_t most = least_of_ == 0 && known != 0 ? kInterrupted * known : kMostCost;
  const auto cost =
      static_cast<std::uint32_t>(std::clamp<std::uint64_t>(nanoseconds * 1000 / bytes, 1, most));
  if (least_of_ == 0) {
    known = known == 0 ? cost : static_cast<std::uint32_t>((std::uint64_t{known} + cost) / 2);
    return;
  }
  Recent& recent = recent_[index(way)];
  recent.costs[recent.counted++ % least_of_] = cost;
  known = *std::min_element(recent.costs.begin(), recent.costs.begin() + std::min(recent.counted, least_of_));
}

/// The favourite changes where that pays.
void WayChooser::judge(const Costs& costs) noexcept {
  const std::uint64_t ours = costs[index(favourite_)], theirs = costs[index(other(favourite_))];
  if (theirs == 0 || theirs * Better::den >= ours * Better::num) return;
  favourite_ = other(favourite_);
  position_ = schedule_.verdict;
  period_ = schedule_.period;
}

Way WayChooser::next(const Costs& costs) noexcept {
  if (position_ == period_) {
    position_ = 0;
    period_ = tried_ ? std::min(2 * period_, schedule_.longest) : schedule_.period;
    tried_ = true;
  }
  if (!tried_) {
    ++position_;
    return favourite_;
  }
  if (position_ >= schedule_.verdict && (position_ - schedule_.verdict) % schedule_.every == 0) judge(costs);
  return position_++ < schedule_.trial ? other(favourite_) : favourite_;
}

}  // namespace mpix::memory
