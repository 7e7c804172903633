// SPDX-License-Identifier: BSD-3-Clause
/// Where the ranks of a node tell each other, through shared memory, how far they have come in the exchanges
/// of one communicator.
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
  /// One rank's line. Exchanges are numbered from 1; both numbers only grow.
  struct alignas(64) Line {
    std::atomic<std::uint64_t> started;  ///< this and all earlier exchanges have been started
    std::atomic<std::uint64_t>
        finished;                     ///< in this and all earlier ones the rank has nothing left to do itself
    std::atomic<std::uint64_t> bell;  ///< rung for every packet that is left for the rank
  };

  /// A new board for `ranks` ranks. Throws Error (no_memory).
  explicit Board(std::size_t ranks);
  /// Another rank's board. Throws Error (peer) that says why it cannot be mapped.
  Board(const SegmentName& name, std::size_t ranks);

  /// For the other ranks of the node; only of a board that was made here.
  const SegmentName& name() const noexcept { return own_->name(); }
  std::size_t ranks() const noexcept { return ranks_; }
  Line& line(std::size_t local) const noexcept { return lines_[local]; }

 private:
  std::optional<Segment> own_;
  std::optional<Mapping> mapping_;
  Line* lines_;
  std::size_t ranks_;
};

}  // namespace mpix::memory
