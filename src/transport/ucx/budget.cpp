// SPDX-License-Identifier: BSD-3-Clause
#include "transport/ucx/budget.hpp"

#include <algorithm>
#include <utility>

namespace mpix::transport::ucx {
namespace {

constexpr std::uint64_t kLeastWindow = 2;
/// Time without any chunk being popped after which more is granted than there is room for; and how long such
/// chunks are.
constexpr auto kPatience = std::chrono::milliseconds(50);
constexpr std::uint64_t kRescueChunk = 32 << 10;

}  // namespace

void ReceiveBudget::expect(Demand& demand, std::int64_t bytes) noexcept {
  demand.remaining += bytes;
  changed_ = true;
  if (demand.standing == 0 && may_stand_ >= kStanding) {
    demand.standing = kStanding;
    may_stand_ -= kStanding;
  }
  if (demand.listed || demand.remaining <= 0) return;
  demand.listed = true;
  waiting_.push_back(&demand);  // within what reserve() made room for
}

void ReceiveBudget::arrived(Demand& demand, std::int64_t bytes) noexcept {
  ++demand.arrived;
  demand.remaining -= bytes;
  pacer_.arrived(bytes);
  changed_ = true;
}

void ReceiveBudget::popped(Demand& demand) noexcept {
  ++demand.popped;
  give_back(1);
  starving_ = false;
  changed_ = true;
}

void ReceiveBudget::give_back(std::size_t chunks) noexcept {
  const std::size_t repaid = std::min(overdrawn_, chunks);
  overdrawn_ -= repaid;
  free_ += chunks - repaid;
}

void ReceiveBudget::withdraw(Demand& demand) noexcept {
  give_back(demand.granted - demand.popped);
  may_stand_ += std::exchange(demand.standing, 0);
  demand.arrived = demand.popped = demand.granted;
  demand.remaining = 0;
  changed_ = true;
  std::erase(waiting_, &demand);
  demand.listed = false;
}

/// Whether what was expected is on its way.
bool ReceiveBudget::under_way() const noexcept {
  return std::any_of(waiting_.begin(), waiting_.end(),
                     [](const Demand* demand) { return demand->remaining > 0 && demand->coming() > 0; });
}

/// Chunks that an account may hold at most, so that those of peers that are slow to send do not keep the
/// others from it.
std::uint64_t ReceiveBudget::share_of_window(std::uint64_t chunk) const noexcept {
  const auto most = static_cast<std::uint64_t>(pacer_.most()) / (chunk * waiting_.size()) + 1;
  return std::clamp<std::uint64_t>(most, kLeastWindow, window_);
}

std::uint64_t ReceiveBudget::next_chunk_bytes(const Demand& demand) const noexcept {
  const auto chunk = static_cast<std::uint64_t>(pacer_.chunk());
  return demand.coming() > demand.standing ? std::min(demand.chunk_bytes, chunk) : chunk;
}

/// Chunks that the account lacks to be able to send what remains; towards its end, also those that stay.
std::uint64_t ReceiveBudget::wanted(const Demand& demand) const noexcept {
  if (demand.remaining <= 0) return 0;
  const std::uint64_t bytes = next_chunk_bytes(demand);
  const std::uint64_t needed = (static_cast<std::uint64_t>(demand.remaining) + bytes - 1) / bytes;
  const std::uint64_t held = demand.granted - demand.popped, window = share_of_window(bytes);
  const bool ends = needed < window + demand.standing;
  const std::uint64_t coming = ends ? needed + demand.standing : needed;
  const std::uint64_t most = ends ? window + 2 * demand.standing : window;
  if (coming <= demand.coming() || held >= most) return 0;
  return std::min(coming - demand.coming(), most - held);
}

void ReceiveBudget::grant_one(Demand& demand) noexcept {
  demand.chunk_bytes = next_chunk_bytes(demand);
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

void ReceiveBudget::rescue(Pacer::Clock::time_point now) noexcept {
  const auto has_nothing = [](const Demand* demand) {
    return demand->remaining > 0 && demand->granted == demand->popped;
  };
  if (free_ > 0 || std::none_of(waiting_.begin(), waiting_.end(), has_nothing)) {
    starving_ = false;
  } else if (!std::exchange(starving_, true)) {
    starving_since_ = now;
  } else if (now - starving_since_ >= kPatience) {
    starving_since_ = now;
    for (Demand* const demand : waiting_) {
      if (!has_nothing(demand)) continue;
      demand->chunk_bytes = std::min<std::uint64_t>(kRescueChunk, slot_bytes_);
      ++demand->granted;
      ++overdrawn_;
    }
  }
}

void ReceiveBudget::drop_satisfied() noexcept {
  std::erase_if(waiting_, [](Demand* demand) {
    const bool satisfied = demand->remaining <= 0;
    if (satisfied) demand->listed = false;
    return satisfied;
  });
}

}  // namespace mpix::transport::ucx
