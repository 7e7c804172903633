// SPDX-License-Identifier: BSD-3-Clause
/// Where the ranks of a node tell each other, through shared memory, how far they have come in the exchanges
/// of one communicator, and leave each other work.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "memory/segment.hpp"

namespace mpix::memory {

class Board {
 public:
  static constexpr std::size_t kErrands = 4;
  static constexpr std::size_t kErrandRoom = std::size_t{128} << 10;

  /// Of the work that is left for a rank.
  enum class Errand : std::uint32_t {
    none,      ///< others may claim it
    claimed,   ///< one of them writes into errand_room()
    waiting,   ///< it has written; the rank works on it
    hopeless,  ///< it cannot be done, nor others after it
  };

  /// Exchanges of which a rank says what it expects: this one and those before it.
  static constexpr std::size_t kExpectations = 8;

  /// One rank's line. Exchanges are numbered from 1; numbers only grow.
  struct alignas(64) Line {
    std::atomic<std::uint64_t> takes;  ///< packets of this and all earlier exchanges
    std::atomic<std::uint64_t>
        finished;                     ///< in this and all earlier ones the rank has nothing left to do itself
    std::atomic<std::uint64_t> bell;  ///< rung for every packet that is left for the rank
    std::atomic<std::uint64_t>
        idle;  ///< in this and all earlier ones it has sent what it has for other nodes
    /// Packets of this one may have been sent to other nodes: errands of earlier ones would come behind them.
    std::atomic<std::uint64_t> ahead;
    /// Bytes that the rank expects in an exchange, see Relay::tell_expected; of exchange n at n %
    /// kExpectations, the low half of n in the upper half.
    std::atomic<std::uint64_t> expected[kExpectations];
    std::atomic<std::uint64_t> attaches;  ///< not 0: it can read all ranks' memory by cross-memory attach
    struct {
      std::atomic<Errand> state;
      std::atomic<std::uint64_t> done;  ///< so many before
    } errands[kErrands];                ///< one is worked on while the next is written
  };

  /// A new board for `ranks` ranks. Throws Error (no_memory).
  explicit Board(std::size_t ranks);
  /// Another rank's board. Throws Error (peer) that says why it cannot be mapped.
  Board(const SegmentName& name, std::size_t ranks);

  /// For the other ranks of the node; only of a board that was made here.
  const SegmentName& name() const noexcept { return own_->name(); }
  std::size_t ranks() const noexcept { return ranks_; }
  Line& line(std::size_t local) const noexcept { return lines_[local]; }
  /// Where errand number `number` of a rank is written, by whoever has claimed it: kErrandRoom bytes, aligned
  /// to a line.
  std::byte* errand_room(std::size_t local, std::size_t number) const noexcept {
    return reinterpret_cast<std::byte*>(lines_ + ranks_) + (local * kErrands + number) * kErrandRoom;
  }

 private:
  std::optional<Segment> own_;
  std::optional<Mapping> mapping_;
  Line* lines_;
  std::size_t ranks_;
};

}  // namespace mpix::memory
