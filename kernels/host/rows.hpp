// SPDX-License-Identifier: BSD-3-Clause
/// Moving many runs of equal length.
#pragma once

#include "kernels/host/move.hpp"
#include "kernels/host/walk.hpp"

namespace mpix::kernels::host {

template <class Isa>
struct Rows {
  using M = Move<Isa>;

  /// Bytes between the row that is moved and the row that is prefetched.
  static constexpr std::int64_t kAheadBytes = 8192;
  static constexpr std::int64_t kAheadRows = 40;

  MPIX_KERNEL_INLINE std::int64_t distance(std::int64_t run) {
    const std::int64_t rows = (kAheadBytes + run - 1) / run;
    return rows > kAheadRows ? kAheadRows : rows;
  }

  /// Compile-time row sizes up to a few lines.
  template <std::size_t N>
  struct Fixed {
    [[gnu::always_inline]] void operator()(Address to, Address from, Address to_ahead,
                                           Address from_ahead) const {
      if constexpr (N >= 16) {
#pragma GCC unroll 4
        for (std::size_t x = 0; x < N; x += kLine) M::prefetch(from_ahead + x);
      }
      if constexpr (N >= kLine) M::prefetch(from_ahead + N - 1);
      (void)to_ahead;
      M::template fixed<N>(to, from);
    }
  };

  struct Cached {
    std::size_t run;
    [[gnu::always_inline]] void operator()(Address to, Address from, Address, Address from_ahead) const {
      M::cached(to, from, run, from_ahead);
    }
  };

  struct Streaming {
    std::size_t run;
    [[gnu::always_inline]] void operator()(Address to, Address from, Address, Address from_ahead) const {
      M::streaming(to, from, run, from_ahead);
    }
  };

  /// Moves `n` rows; places up to number `known` may be looked at for prefetching.
  template <class Op, class To, class From>
  static void loop(Op op, To to, From from, std::int64_t n, std::int64_t known, std::int64_t ahead) {
    std::int64_t i = 0;
    const std::int64_t steady = n < known - ahead ? n : known - ahead;
    for (; i < steady; ++i) op(to.at(i), from.at(i), to.at(i + ahead), from.at(i + ahead));
    for (; i < n; ++i) op(to.at(i), from.at(i), to.at(i), from.at(i));
  }

  template <class To, class From>
  static void move(To to, From from, std::int64_t n, std::int64_t known, std::int64_t run, bool stream) {
    const std::int64_t ahead = distance(run);
    const auto size = static_cast<std::size_t>(run);
    if (stream && run >= static_cast<std::int64_t>(kLine))
      return loop(Streaming{size}, to, from, n, known, ahead);
    switch (run) {
      case 4:
        return loop(Fixed<4>{}, to, from, n, known, ahead);
      case 8:
        return loop(Fixed<8>{}, to, from, n, known, ahead);
      case 16:
        return loop(Fixed<16>{}, to, from, n, known, ahead);
      case 32:
        return loop(Fixed<32>{}, to, from, n, known, ahead);
      case 64:
        return loop(Fixed<64>{}, to, from, n, known, ahead);
      case 128:
        return loop(Fixed<128>{}, to, from, n, known, ahead);
      case 256:
        return loop(Fixed<256>{}, to, from, n, known, ahead);
      default:
        return loop(Cached{size}, to, from, n, known, ahead);
    }
  }
};

}  // namespace mpix::kernels::host
