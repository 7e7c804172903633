// SPDX-License-Identifier: BSD-3-Clause
#include "transport/shm/stores.hpp"

#include <algorithm>

namespace mpix::transport::shm {
namespace {

/// Chunks of a period, at whose beginning there is a trial, and after which the costs are compared again:
/// late enough that the receiver has told what the trial cost it.
constexpr unsigned kPeriod = 256;
constexpr unsigned kTrial = 5;
constexpr unsigned kVerdict = 16;
/// Chunks of one way before they count.
constexpr unsigned kWarm = 2;
/// A chunk that took longer than this many times the mean was interrupted.
constexpr std::uint64_t kInterrupted = 4;

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
  if (alike_ <= kWarm || bytes == 0) return;
  std::uint32_t& mean = costs_[index(way)];
  const std::uint64_t most = mean != 0 ? kInterrupted * mean : 1'000'000;
  const std::uint64_t cost = std::clamp<std::uint64_t>(nanoseconds * 1000 / bytes, 1, most);
  mean = mean == 0 ? static_cast<std::uint32_t>(cost) : static_cast<std::uint32_t>((mean + cost) / 2);
}

Way WayChooser::next(const Costs& costs) noexcept {
  const unsigned position = position_++ % kPeriod;
  if (position == kVerdict && costs[0] != 0 && costs[1] != 0)
    favourite_ = costs[index(Way::streaming)] < costs[index(Way::cached)] ? Way::streaming : Way::cached;
  return position < kTrial ? other(favourite_) : favourite_;
}

}  // namespace mpix::transport::shm
