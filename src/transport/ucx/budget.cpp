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
  if (bytes > 0) demand.piece = static_cast<std::uint64_t>(net_piece(bytes));
  if (demand.standing == 0 && bytes > 0 && may_stand_ >= kStanding) {
    if (demand.chunk_bytes == 0) demand.chunk_bytes = cell_bytes_;
    demand.standing = kStanding;
    demand.granted += kStanding;
    may_stand_ -= kStanding;
    list(demand);
  }
  if (demand.remaining > 0) list(demand);
}

/// Lets grant() look at the account.
void ReceiveBudget::list(Demand& demand) noexcept {
  if (std::exchange(demand.listed, true)) return;
  waiting_.push_back(&demand);  // within what reserve() made room for
}

void ReceiveBudget::arrived(Demand& demand, std::int64_t bytes) noexcept {
  ++demand.arrived;
  demand.remaining -= bytes;
  pacer_.arrived(bytes);
  changed_ = true;
}

void ReceiveBudget::popped(Demand& demand) noexcept {
  if (demand.long_ones() > 0) give_back(demand.cost);
  ++demand.popped;
  if (demand.held() < demand.standing) ++demand.granted;
  if (is_to_be_told(demand)) list(demand);
  starving_ = false;
  changed_ = true;
}

void ReceiveBudget::give_back(std::size_t cells) noexcept {
  const std::size_t repaid = std::min(overdrawn_, cells);
  overdrawn_ -= repaid;
  free_ += cells - repaid;
}

void ReceiveBudget::withdraw(Demand& demand) noexcept {
  give_back(demand.long_ones() * demand.cost);
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
  const auto chunk = std::min(static_cast<std::uint64_t>(pacer_.chunk()), demand.piece);
  return demand.coming() > demand.standing ? std::min(demand.chunk_bytes, chunk) : chunk;
}

/// Chunks that the account lacks to be able to send what remains.
std::uint64_t ReceiveBudget::wanted(const Demand& demand) const noexcept {
  if (demand.remaining <= 0) return 0;
  const auto remaining = static_cast<std::uint64_t>(demand.remaining);
  if (demand.standing > 0 && demand.coming() > 0 && remaining <= cell_bytes_) return 0;
  const std::uint64_t coming = demand.long_coming() * demand.longest;
  const std::uint64_t bytes = next_chunk_bytes(demand), window = share_of_window(bytes);
  if (remaining <= coming || demand.long_ones() >= window) return 0;
  const std::uint64_t needed = (remaining - coming + bytes - 1) / bytes;
  const std::uint64_t standing_left =
      demand.coming() < demand.standing ? demand.standing - demand.coming() : 0;
  return std::min(needed + standing_left, window - demand.long_ones());
}

/// A shorter chunk than wanted where that is all there is memory for; false for none.
bool ReceiveBudget::grant_one(Demand& demand) noexcept {
  const std::uint64_t others = demand.long_ones();
  std::uint64_t bytes = next_chunk_bytes(demand);
  std::size_t cost = std::max(cells(bytes), others > 0 ? demand.cost : 0);
  std::size_t dearer = others > 0 ? (cost - demand.cost) * others : 0;  // the others may get as long
  if (cost + dearer > free_) {
    cost = others > 0 ? demand.cost : std::bit_floor(free_);
    dearer = 0;
    if (cost == 0 || cost > free_) return false;
    bytes = std::min<std::uint64_t>(bytes, cost * cell_bytes_);
  }
  free_ -= cost + dearer;
  demand.longest = demand.long_coming() > 0 ? std::max(demand.longest, bytes) : bytes;
  demand.cost = cost;
  demand.chunk_bytes = bytes;
  ++demand.granted;
  demand.asked = true;
  return true;
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
    given |= grant_one(demand);
  }
  return given;
}

void ReceiveBudget::rescue(Pacer::Clock::time_point now) noexcept {
  const auto has_nothing = [](const Demand* demand) { return demand->remaining > 0 && demand->held() == 0; };
  if (free_ > 0 || std::none_of(waiting_.begin(), waiting_.end(), has_nothing)) {
    starving_ = false;
  } else if (!std::exchange(starving_, true)) {
    starving_since_ = now;
  } else if (now - starving_since_ >= kPatience) {
    starving_since_ = now;
    for (Demand* const demand : waiting_) {
      if (!has_nothing(demand)) continue;
      demand->chunk_bytes = demand->longest = std::min<std::uint64_t>(kRescueChunk, cell_bytes_);
      demand->cost = 1;
      ++demand->granted;
      demand->asked = true;
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
