// SPDX-License-Identifier: BSD-3-Clause
#include "transport/ucx/budget.hpp"

#include <algorithm>

namespace mpix::transport::ucx {
namespace {

constexpr std::uint64_t kLeastWindow = 2;

}  // namespace

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
  pacer_.arrived(bytes);
  left_way(demand.chunk_bytes);
}

void ReceiveBudget::left_way(std::uint64_t bytes) noexcept {
  on_way_ -= static_cast<std::int64_t>(bytes);
  changed_ = true;
  if (on_way_ == 0) pacer_.idle();
}

void ReceiveBudget::popped(Demand& demand) noexcept {
  ++demand.popped;
  ++free_;
  changed_ = true;
}

void ReceiveBudget::withdraw(Demand& demand) noexcept {
  free_ += demand.granted - demand.popped;
  left_way((demand.granted - demand.arrived) * demand.chunk_bytes);
  demand.arrived = demand.popped = demand.granted;
  demand.remaining = 0;
  changed_ = true;
  std::erase(waiting_, &demand);
  demand.listed = false;
}

/// Chunks that an account may hold at most, so that those of peers that are slow to send do not keep the
/// others from it.
std::uint64_t ReceiveBudget::share_of_window(std::uint64_t chunk) const noexcept {
  const auto most = static_cast<std::uint64_t>(pacer_.most()) / (chunk * waiting_.size());
  return std::clamp<std::uint64_t>(most, kLeastWindow, window_);
}

/// Chunks that the account lacks to be able to send what remains.
std::uint64_t ReceiveBudget::wanted(const Demand& demand) const noexcept {
  if (demand.remaining <= 0) return 0;
  const std::uint64_t coming = demand.granted - demand.arrived;
  const std::uint64_t held = demand.granted - demand.popped;
  const auto chunk = static_cast<std::uint64_t>(pacer_.chunk());
  const std::uint64_t bytes = coming > 0 ? std::min(demand.chunk_bytes, chunk) : chunk;
  const std::uint64_t needed = (static_cast<std::uint64_t>(demand.remaining) + bytes - 1) / bytes;
  const std::uint64_t window = share_of_window(bytes);
  if (needed <= coming || held >= window) return 0;
  return std::min(needed - coming, window - held);
}

void ReceiveBudget::grant_one(Demand& demand) noexcept {
  const std::uint64_t coming = demand.granted - demand.arrived;
  const auto chunk = static_cast<std::uint64_t>(pacer_.chunk());
  const std::uint64_t bytes = coming > 0 ? std::min(demand.chunk_bytes, chunk) : chunk;
  on_way_ += static_cast<std::int64_t>((coming + 1) * bytes - coming * demand.chunk_bytes);
  demand.chunk_bytes = bytes;
  ++demand.granted;
  --free_;
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
    grant_one(demand);
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
