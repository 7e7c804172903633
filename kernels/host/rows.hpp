// SPDX-License-Identifier: BSD-3-Clause
/// Moving many runs of equal length.
#pragma once

#include "kernels/host/move.hpp"
#include "kernels/host/walk.hpp"

namespace mpix::kernels::host {

template <class Isa>
struct Rows {
  using M = Move<Isa>;

  /// Distance between the row that is moved and the row that is prefetched.
  static constexpr std::int64_t kAheadBytes = 8192;
  static constexpr std::int64_t kAheadRows = 40;
  /// Shorter rows that do not begin with a line are written by ordinary stores: they have few whole lines.
  static constexpr std::int64_t kStreamedRun = 128;

  MPIX_KERNEL_INLINE std::int64_t distance(std::int64_t run) {
    const std::int64_t rows = (kAheadBytes + run - 1) / run;
    return rows > kAheadRows ? kAheadRows : rows;
  }

  /// Each operation moves one row and prefetches those further on that its sides ask for. Where a whole row
  /// is written by ordinary stores, its lines are fetched like a source's.
  template <std::size_t N>
  struct Fixed {
    template <class To, class From>
    [[gnu::always_inline]] void operator()(Address to, Address from, Address to_ahead,
                                           Address from_ahead) const {
      if constexpr (From::kPrefetched) M::template prefetch_fixed<N>(from_ahead);
      if constexpr (To::kPrefetched) M::template prefetch_fixed<N>(to_ahead);
      M::template fixed<N>(to, from);
    }
  };

  struct Cached {
    std::size_t run;
    template <class To, class From>
    [[gnu::always_inline]] void operator()(Address to, Address from, Address to_ahead,
                                           Address from_ahead) const {
      if constexpr (To::kPrefetched) M::prefetch_run(to_ahead, run);
      M::template cached<From::kPrefetched>(to, from, run, from_ahead);
    }
  };

  struct Streaming {
    std::size_t run;
    template <class To, class From>
    [[gnu::always_inline]] void operator()(Address to, Address from, Address to_ahead,
                                           Address from_ahead) const {
      if constexpr (To::kPrefetched) {
        if (to_ahead % kLine != 0) M::prefetch_write(to_ahead);
        if ((to_ahead + run) % kLine != 0) M::prefetch_write(to_ahead + run - 1);
      }
      M::template streaming<From::kPrefetched>(to, from, run, from_ahead);
    }
  };

  template <class Op, class To, class From>
  static void loop(Op op, To to, From from, std::int64_t n, std::int64_t run) {
    const std::int64_t ahead = distance(run);
    const std::int64_t known = (to.known() < from.known() ? to.known() : from.known()) - ahead;
    const std::int64_t steady = n < known ? n : known;
    std::int64_t i = 0;
    for (; i < steady; ++i) {
      op.template operator()<To, From>(to.at(i), from.at(i), to.at(i + ahead), from.at(i + ahead));
    }
    for (; i < n; ++i) {
      op.template operator()<To, From>(to.at(i), from.at(i), to.ahead(i + ahead), from.ahead(i + ahead));
    }
  }

  /// Moves `n` > 0 rows of `run` bytes, all of which both sides know.
  template <class To, class From>
  static void move(To to, From from, std::int64_t n, std::int64_t run, bool stream) {
    const auto size = static_cast<std::size_t>(run);
    if (stream &&
        (run >= kStreamedRun || (run >= static_cast<std::int64_t>(kLine) && to.at(0) % kLine == 0))) {
      return loop(Streaming{size}, to, from, n, run);
    }
    switch (run) {
      case 4:
        return loop(Fixed<4>{}, to, from, n, run);
      case 8:
        return loop(Fixed<8>{}, to, from, n, run);
      case 16:
        return loop(Fixed<16>{}, to, from, n, run);
      case 32:
        return loop(Fixed<32>{}, to, from, n, run);
      case 64:
        return loop(Fixed<64>{}, to, from, n, run);
      case 128:
        return loop(Fixed<128>{}, to, from, n, run);
      case 256:
        return loop(Fixed<256>{}, to, from, n, run);
      default:
        return loop(Cached{size}, to, from, n, run);
    }
  }
};

}  // namespace mpix::kernels::host
