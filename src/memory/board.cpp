// SPDX-License-Identifier: BSD-3-Clause
#include "memory/board.hpp"

namespace mpix::memory {

// Zeroed memory is a valid board.
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

// Pages of errand rooms that nobody writes to are never made.
Board::Board(std::size_t ranks)
    : own_(Segment::create(ranks * (sizeof(Line) + kErrands * kErrandRoom))),
      lines_(reinterpret_cast<Line*>(own_->data())),
      ranks_(ranks) {}

Board::Board(const SegmentName& name, std::size_t ranks)
    : mapping_(map_remote(name)), lines_(reinterpret_cast<Line*>(mapping_->data())), ranks_(ranks) {}

}  // namespace mpix::memory
