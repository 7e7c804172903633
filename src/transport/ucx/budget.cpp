// SPDX-License-Identifier: BSD-3-Clause
#include "transport/ucx/budget.hpp"

#include <algorithm>

namespace mpix::transport::ucx {

void ReceiveBudget::expect(Demand& demand, std::int64_t bytes) noexcept {
  demand.remaining += bytes;
  changed_ = true;
  if (demand.listed) return;
  demand.listed = true;
  waiting_.push_back(&demand);  // within what reserve() made room for
}

void ReceiveBudget::arrived(Demand& demand, std::int64_t bytes) noexcept {
  ++demand.arrived;
  demand.remaining -= bytes;
}

void ReceiveBudget::popped(Demand& demand) noexcept {
  ++demand.popped;
  ++free_;
  changed_ = true;
}

void ReceiveBudget::withdraw(Demand& demand) noexcept {
  free_ += demand.granted - demand.popped;
  demand.arrived = demand.popped = demand.granted;
  demand.remaining = 0;
  changed_ = true;
  std::erase(waiting_, &demand);
  demand.listed = false;
}

/// Chunks that the account lacks to be able to send what remains.
std::uint64_t ReceiveBudget::wanted(const Demand& demand) const noexcept {
  if (demand.remaining <= 0) return 0;
  const std::uint64_t needed = (static_cast<std::uint64_t>(demand.remaining) + slot_bytes_ - 1) / slot_bytes_;
  const std::uint64_t coming = demand.granted - demand.arrived;
  const std::uint64_t held = demand.granted - demand.popped;
  if (needed <= coming || held >= window_) return 0;
  return std::min(needed - coming, window_ - held);
}

/// At most one chunk for each account; returns whether another round may give more.
bool ReceiveBudget::grant_round() noexcept {
  const std::size_t count = waiting_.size();
  bool given = false;
  for (std::size_t visited = 0; visited < count; ++visited) {
    if (free_ == 0) return false;
    Demand& demand = *waiting_[next_ % count];
    next_ = (next_ + 1) % count;
    if (wanted(demand) == 0) continue;
    ++demand.granted;
    --free_;
    given = true;
  }
  return given;
}

void ReceiveBudget::drop_satisfied() noexcept {
  std::erase_if(waiting_, [](Demand* demand) {
    const bool satisfied = demand->remaining <= 0;
    if (satisfied) demand->listed = false;
    return satisfied;
  });
}

}  // namespace mpix::transport::ucx
