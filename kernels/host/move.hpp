// SPDX-License-Identifier: BSD-3-Clause
/// Moving one contiguous run. Everything in the headers of this folder is a template over the instruction
/// set, and each set is a type of its own translation unit: no function that was compiled for one processor
/// can be linked into the loops of another.
#pragma once

#include <cstddef>
#include <cstdint>

#define MPIX_KERNEL_INLINE [[gnu::always_inline]] static inline

namespace mpix::kernels::host {

inline constexpr std::size_t kLine = 64;

/// Addresses are computed as integers: a buffer's address may be null (MPI_BOTTOM) with absolute offsets, and
/// prefetched places may lie outside of every object.
using Address = std::uintptr_t;

template <class Isa>
struct Move {
  MPIX_KERNEL_INLINE std::byte* writable(Address a) { return reinterpret_cast<std::byte*>(a); }
  MPIX_KERNEL_INLINE const std::byte* readable(Address a) { return reinterpret_cast<const std::byte*>(a); }

  /// Into the second-level cache: the first has too few buffers for misses to hide the memory's latency.
  MPIX_KERNEL_INLINE void prefetch(Address a) { __builtin_prefetch(readable(a), 0, 1); }
  MPIX_KERNEL_INLINE void prefetch_write(Address a) { __builtin_prefetch(readable(a), 1, 3); }

  /// Every line of a row that is used later.
  MPIX_KERNEL_INLINE void prefetch_run(Address a, std::size_t n) {
    for (std::size_t x = 0; x < n; x += kLine) prefetch(a + x);
    prefetch(a + n - 1);
  }
  template <std::size_t N>
  MPIX_KERNEL_INLINE void prefetch_fixed(Address a) {
#pragma GCC unroll 8
    for (std::size_t x = 0; x < N; x += kLine) prefetch(a + x);
    if constexpr (N >= kLine) prefetch(a + N - 1);
  }

  template <class Word>
  MPIX_KERNEL_INLINE void word(Address to, Address from) {
    __builtin_memcpy(writable(to), readable(from), sizeof(Word));
  }

  /// Two words that may overlap and together cover `n` bytes, sizeof(Word) <= n <= 2 * sizeof(Word).
  template <class Word>
  MPIX_KERNEL_INLINE void both_ends(Address to, Address from, std::size_t n) {
    Word first, last;
    __builtin_memcpy(&first, readable(from), sizeof first);
    __builtin_memcpy(&last, readable(from + n - sizeof last), sizeof last);
    __builtin_memcpy(writable(to), &first, sizeof first);
    __builtin_memcpy(writable(to + n - sizeof last), &last, sizeof last);
  }

  struct Word16 {
    std::uint64_t low, high;
  };

  MPIX_KERNEL_INLINE void half(Address to, Address from) {
    Isa::store_half(writable(to), Isa::load_half(readable(from)));
  }

  MPIX_KERNEL_INLINE void line(Address to, Address from) {
    Isa::store_line(writable(to), Isa::load_line(readable(from)));
  }

  /// N bytes, N known to the compiler.
  template <std::size_t N>
  MPIX_KERNEL_INLINE void fixed(Address to, Address from) {
    if constexpr (N % kLine == 0) {
#pragma GCC unroll 8
      for (std::size_t x = 0; x < N; x += kLine) line(to + x, from + x);
    } else if constexpr (N == 32) {
      half(to, from);
    } else {
      __builtin_memcpy(writable(to), readable(from), N);
    }
  }

  /// n < 64 bytes.
  MPIX_KERNEL_INLINE void below_line(Address to, Address from, std::size_t n) {
    if (n >= 8) {
      if (n <= 16) {
        both_ends<std::uint64_t>(to, from, n);
      } else if (n <= 32) {
        both_ends<Word16>(to, from, n);
      } else {
        const auto first = Isa::load_half(readable(from));
        const auto last = Isa::load_half(readable(from + n - 32));
        Isa::store_half(writable(to), first);
        Isa::store_half(writable(to + n - 32), last);
      }
    } else if (n >= 4) {
      both_ends<std::uint32_t>(to, from, n);
    } else if (n >= 2) {
      both_ends<std::uint16_t>(to, from, n);
    } else if (n == 1) {
      word<std::uint8_t>(to, from);
    }
  }

  /// Ordinary stores. With kAhead, what is `ahead` is prefetched line by line meanwhile.
  template <bool kAhead>
  MPIX_KERNEL_INLINE void cached(Address to, Address from, std::size_t n, Address ahead) {
    if (kAhead) prefetch(ahead + n - 1);
    if (n < kLine) {
      if (kAhead) prefetch(ahead);
      below_line(to, from, n);
      return;
    }
    const auto last = Isa::load_line(readable(from + n - kLine));
    std::size_t x = 0;
    for (; x + kLine < n; x += kLine) {
      if (kAhead) prefetch(ahead + x);
      line(to + x, from + x);
    }
    if (kAhead) prefetch(ahead + x);
    Isa::store_line(writable(to + n - kLine), last);
  }

  /// Whole aligned lines of the target by streaming stores, what precedes and follows them by ordinary ones.
  template <bool kAhead>
  MPIX_KERNEL_INLINE void streaming(Address to, Address from, std::size_t n, Address ahead) {
    const std::size_t head = (0 - to) % kLine;
    if (n < head + kLine) {
      cached<kAhead>(to, from, n, ahead);
      return;
    }
    if (kAhead) prefetch(ahead);
    below_line(to, from, head);
    std::size_t x = head;
    for (; x + kLine <= n; x += kLine) {
      if (kAhead) prefetch(ahead + x);
      Isa::stream_line(writable(to + x), Isa::load_line(readable(from + x)));
    }
    if (kAhead) prefetch(ahead + n - 1);
    below_line(to + x, from + x, n - x);
  }
};

}  // namespace mpix::kernels::host
