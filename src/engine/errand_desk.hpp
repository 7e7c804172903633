// SPDX-License-Identifier: BSD-3-Clause
/// Where a rank leaves errands to idle ranks of its node, and does those that others leave to it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/errand.hpp"
#include "memory/board.hpp"

namespace mpix::engine {

class ErrandDesk {
 public:
  /// `self`: this rank's place among the ranks of the board's node. The board outlives the desk.
  ErrandDesk(const memory::Board& board, std::size_t self) noexcept : board_(&board), self_(self) {}

  // Leaving errands.

  /// Errand `number` of `helper`, a place among the ranks of the node.
  struct Claim {
    std::size_t helper = 0, number = 0;
    std::uint64_t ticket = 0;
  };
  enum class State { pending, done, failed };

  /// Claims an errand of a rank that has sent all that it has in `exchange`; leave() has to follow. The ranks
  /// take turns. Empty where there is none, or where a rank still has something to send in an earlier
  /// exchange: that may become an errand of the same helper, and must not come after this one.
  /// Nor does a rank take any that has begun to send in a later one.
  std::optional<Claim> claim(std::uint64_t exchange) noexcept;
  /// Where it is to be written.
  std::span<std::byte> room(const Claim& claim) const noexcept;
  /// Whether `helper` can read the memory of all ranks of the node by cross-memory attach.
  bool attaches(std::size_t helper) const noexcept;
  /// The helper may begin.
  void leave(const Claim& claim) noexcept;
  State state(const Claim& claim) const noexcept;

  // Doing errands.

  /// Tells the others that this rank has sent all that it has in this exchange and all before it.
  void idle(std::uint64_t exchange) noexcept;
  void set_attaches() noexcept;
  /// Whether this rank may send packets of its own in `exchange`: no errands of earlier ones are left to it,
  /// nor will be from now on.
  bool may_send(std::uint64_t exchange) noexcept;

  using Connect = std::function<transport::Channel&(int rank)>;
  using Count = std::function<void(std::uint64_t exchange, std::int64_t bytes)>;
  /// Works on what was left to this rank; `count` is told what has been sent. Not ok where that failed: the
  /// rank takes no errands any more then.
  Status progress(const Context& context, const Connect& connect, const Count& count, bool& happened);
  /// Nothing is left to do, and what was done has left this rank.
  bool flushed() noexcept;

 private:
  using Line = memory::Board::Line;
  Line& line(std::size_t local) const noexcept { return board_->line(local); }
  std::optional<Claim> claim_of(std::size_t helper, std::uint64_t exchange) noexcept;
  Status work(std::size_t number, const Context& context, const Connect& connect, const Count& count,
              bool& happened) noexcept;
  Status step(std::size_t number, const Connect& connect, const Count& count, bool& happened);

  const memory::Board* board_;
  std::size_t self_;
  std::size_t next_ = 0;
  std::uint64_t sends_ = 0;  // the last exchange that may_send() has allowed
  std::array<std::optional<Errand>, memory::Board::kErrands> errands_;
  std::vector<transport::Channel*>
      sending_;  // those that errands have been handed to and that may not be flushed
};

}  // namespace mpix::engine
