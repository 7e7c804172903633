// SPDX-License-Identifier: BSD-3-Clause
#include "engine/errand_desk.hpp"

#include <algorithm>

namespace mpix::engine {

using Mark = memory::Board::Errand;

std::optional<ErrandDesk::Claim> ErrandDesk::claim(std::uint64_t exchange) noexcept {
  const std::size_t ranks = board_->ranks();
  for (std::size_t local = 0; local < ranks; ++local)
    if (line(local).idle.load(std::memory_order_acquire) + 1 < exchange) return {};
  for (std::size_t i = 0; i < ranks; ++i) {
    const std::size_t helper = (self_ + 1 + next_ + i) % ranks;
    if (helper == self_ || line(helper).idle.load(std::memory_order_acquire) < exchange) continue;
    const std::optional<Claim> claimed = claim_of(helper, exchange);
    if (!claimed) continue;
    next_ = (next_ + i + 1) % ranks;
    return claimed;
  }
  return {};
}

std::optional<ErrandDesk::Claim> ErrandDesk::claim_of(std::size_t helper, std::uint64_t exchange) noexcept {
  for (std::size_t number = 0; number < memory::Board::kErrands; ++number) {
    auto& errand = line(helper).errands[number];
    Mark none = Mark::none;
    if (errand.state.load(std::memory_order_relaxed) != none) continue;
    if (!errand.state.compare_exchange_strong(none, Mark::claimed, std::memory_order_seq_cst)) continue;
    if (line(helper).ahead.load(std::memory_order_seq_cst) > exchange) {  // see may_send()
      errand.state.store(Mark::none, std::memory_order_release);
      return {};
    }
    return Claim{helper, number, errand.done.load(std::memory_order_relaxed)};
  }
  return {};
}

std::span<std::byte> ErrandDesk::room(const Claim& claim) const noexcept {
  return {board_->errand_room(claim.helper, claim.number), memory::Board::kErrandRoom};
}

bool ErrandDesk::attaches(std::size_t helper) const noexcept {
  return line(helper).attaches.load(std::memory_order_relaxed) != 0;
}

void ErrandDesk::leave(const Claim& claim) noexcept {
  line(claim.helper).errands[claim.number].state.store(Mark::waiting, std::memory_order_release);
}

ErrandDesk::State ErrandDesk::state(const Claim& claim) const noexcept {
  const auto& errand = line(claim.helper).errands[claim.number];
  if (errand.done.load(std::memory_order_acquire) > claim.ticket) return State::done;
  return errand.state.load(std::memory_order_relaxed) == Mark::hopeless ? State::failed : State::pending;
}

void ErrandDesk::idle(std::uint64_t exchange) noexcept {
  std::atomic<std::uint64_t>& mine = line(self_).idle;
  if (mine.load(std::memory_order_relaxed) < exchange) mine.store(exchange, std::memory_order_release);
}

/// Either this rank sees a claim, or who claims sees that it is ahead.
bool ErrandDesk::may_send(std::uint64_t exchange) noexcept {
  if (exchange <= sends_) return true;
  Line& mine = line(self_);
  if (mine.ahead.load(std::memory_order_relaxed) < exchange)
    mine.ahead.store(exchange, std::memory_order_seq_cst);
  for (const auto& errand : mine.errands) {
    const Mark state = errand.state.load(std::memory_order_seq_cst);
    if (state == Mark::claimed || state == Mark::waiting) return false;
  }
  sends_ = exchange;
  return true;
}

void ErrandDesk::set_attaches() noexcept {
  line(self_).attaches.store(1, std::memory_order_relaxed);
}

Status ErrandDesk::progress(const Context& context, const Connect& connect, const Count& count,
                            bool& happened) {
  for (std::size_t number = 0; number < errands_.size(); ++number) {
    auto& mine = line(self_).errands[number];
    if (!errands_[number] && mine.state.load(std::memory_order_acquire) != Mark::waiting) continue;
    Status status = work(number, context, connect, count, happened);
    if (status.ok()) continue;
    errands_[number].reset();
    mine.state.store(Mark::hopeless, std::memory_order_release);
    return status;
  }
  return {};
}

Status ErrandDesk::work(std::size_t number, const Context& context, const Connect& connect,
                        const Count& count, bool& happened) noexcept {
  try {
    if (!errands_[number]) errands_[number].emplace(board_->errand_room(self_, number), context);
    return step(number, connect, count, happened);
  } catch (const Error& error) {
    return error.status();
  } catch (const std::exception& error) {
    return {Code::no_memory, error.what()};
  }
}

Status ErrandDesk::step(std::size_t number, const Connect& connect, const Count& count, bool& happened) {
  Errand& errand = *errands_[number];
  transport::Channel& channel = connect(errand.target());
  if (std::find(sending_.begin(), sending_.end(), &channel) == sending_.end()) sending_.push_back(&channel);
  Status status = errand.step(channel, happened);
  if (!status.ok() || !errand.done()) return status;
  count(errand.exchange(), errand.bytes());
  errands_[number].reset();
  auto& mine = line(self_).errands[number];
  mine.done.fetch_add(1, std::memory_order_release);
  mine.state.store(Mark::none, std::memory_order_release);
  return {};
}

bool ErrandDesk::flushed() noexcept {
  const auto busy = [](const std::optional<Errand>& errand) { return errand.has_value(); };
  if (std::any_of(errands_.begin(), errands_.end(), busy)) return false;
  std::erase_if(sending_, [](transport::Channel* channel) { return channel->flushed(); });
  return sending_.empty();
}

}  // namespace mpix::engine
