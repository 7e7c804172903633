// SPDX-License-Identifier: BSD-3-Clause
/// Moving runs whose lengths differ.
#pragma once

#include "kernels/host/move.hpp"
#include "kernels/host/rows.hpp"
#include "kernels/host/walk.hpp"

namespace mpix::kernels::host {

/// Whole runs of the segments form against contiguous memory, in the direction of kGather.
template <class Isa, bool kGather>
class Segments {
 public:
  using M = Move<Isa>;

  Segments(Address base, const Blocks& blocks, std::int64_t run, bool stream)
      : base_(base + static_cast<Address>(blocks.offset)),
        blocks_(blocks),
        run_(run),
        fetched_(run),
        stream_(stream) {}

  /// The first run that has not been moved.
  std::int64_t run() const { return run_; }

  /// Moves as many whole runs as `bytes` hold; returns their bytes.
  std::int64_t move(Address flat, std::int64_t bytes) {
    std::int64_t done = 0;
    // A small call looks at its own runs only; a large one is likely to be followed by the next.
    const std::int64_t limit = bytes < Rows<Isa>::kAheadBytes ? bytes : bytes + Rows<Isa>::kAheadBytes;
    while (run_ < blocks_.nruns && bytes - done >= blocks_.lengths[run_]) {
      const std::int64_t length = blocks_.lengths[run_];
      const std::int64_t lead = done + Rows<Isa>::kAheadBytes;
      look_ahead(lead < limit ? lead : limit);
      const Address place = at(run_);
      const Address linear = flat + static_cast<Address>(done);
      one(kGather ? linear : place, kGather ? place : linear, static_cast<std::size_t>(length));
      done += length;
      ++run_;
    }
    return done;
  }

 private:
  Address at(std::int64_t i) const { return base_ + static_cast<Address>(blocks_.offsets[i]); }

  bool streamed(std::int64_t length) const { return stream_ && length >= Rows<Isa>::kStreamedRun; }

  void one(Address to, Address from, std::size_t n) const {
    if (streamed(static_cast<std::int64_t>(n))) {
      M::template streaming<false>(to, from, n, from);
    } else {
      M::template cached<false>(to, from, n, from);
    }
  }

  /// Prefetches runs that begin within the first `lead` bytes of this call.
  void look_ahead(std::int64_t lead) {
    while (fetched_ < blocks_.nruns && lead_ < lead && fetched_ < run_ + Rows<Isa>::kAheadRows) {
      const std::int64_t length = blocks_.lengths[fetched_];
      const Address place = at(fetched_);
      if (kGather || !streamed(length)) {
        M::prefetch_run(place, static_cast<std::size_t>(
                                   length < Rows<Isa>::kAheadBytes ? length : Rows<Isa>::kAheadBytes));
      } else {
        M::prefetch_write(place);
        M::prefetch_write(place + static_cast<Address>(length) - 1);
      }
      lead_ += length;
      ++fetched_;
    }
  }

  Address base_;
  const Blocks& blocks_;
  std::int64_t run_;
  std::int64_t fetched_;   ///< first run that has not been prefetched
  std::int64_t lead_ = 0;  ///< bytes of this call before that run
  bool stream_;
};

}  // namespace mpix::kernels::host
