// SPDX-License-Identifier: BSD-3-Clause
/// Gather, scatter and copy of one instruction set, from the pieces of this folder.
#pragma once

#include "kernels/host.hpp"
#include "kernels/host/move.hpp"
#include "kernels/host/rows.hpp"
#include "kernels/host/walk.hpp"

namespace mpix::kernels::host {

template <class Isa>
struct Loops {
  using M = Move<Isa>;
  using R = Rows<Isa>;

  /// Bytes that `copy` holds in the first-level cache between two layouts of short runs.
  static constexpr std::int64_t kStage = 8192;
  /// From here on runs of unequal lengths are moved directly rather than through the stage.
  static constexpr std::int64_t kDirectRun = 1024;

  static constexpr HostKernels table(const char* name) { return {name, gather, scatter, copy}; }

  static Address address(const std::byte* p) { return reinterpret_cast<Address>(p); }

  MPIX_KERNEL_INLINE void run(Address to, Address from, std::int64_t bytes, bool stream) {
    const auto n = static_cast<std::size_t>(bytes);
    if (stream) {
      M::streaming(to, from, n, from);
    } else {
      M::cached(to, from, n, from);
    }
  }

  /// Blocks against contiguous memory, in the direction of kGather.
  template <bool kGather>
  static void linear(Address base, const Blocks& blocks, Cursor& cursor, Address flat, std::int64_t bytes,
                     bool stream) {
    Walk<Isa> walk(base, blocks, cursor.run);
    std::int64_t within = cursor.within;
    while (bytes > 0) {
      const std::int64_t length = walk.length();
      std::int64_t moved = 0;
      if (within == 0 && bytes >= length && walk.uniform()) {
        const std::int64_t span = walk.span();
        const std::int64_t fit = bytes / length;
        const std::int64_t n = fit < span ? fit : span;
        if (walk.strided()) {
          rows<kGather>(walk.as_strided(), flat, n, span, length, stream);
        } else {
          rows<kGather>(walk.as_indexed(), flat, n, span, length, stream);
        }
        walk.advance(n);
        moved = n * length;
      } else {
        const std::int64_t rest = length - within;
        moved = rest < bytes ? rest : bytes;
        const Address place = walk.place() + static_cast<Address>(within);
        run(kGather ? flat : place, kGather ? place : flat, moved, stream);
        within += moved;
        if (within == length) {
          within = 0;
          walk.advance(1);
        }
      }
      flat += static_cast<Address>(moved);
      bytes -= moved;
    }
    cursor = {walk.run(), within};
  }

  template <bool kGather, class Places>
  MPIX_KERNEL_INLINE void rows(Places places, Address flat, std::int64_t n, std::int64_t span,
                               std::int64_t length, bool stream) {
    const Strided<Isa> line{flat, length};
    if constexpr (kGather) {
      R::move(line, places, n, span, length, stream);
    } else {
      R::move(places, line, n, span, length, stream);
    }
  }

  static void gather(const std::byte* base, const Blocks& blocks, Cursor& cursor, std::byte* out,
                     std::size_t bytes, Stores stores) noexcept {
    const bool stream = stores == Stores::streaming;
    linear<true>(address(base), blocks, cursor, address(out), static_cast<std::int64_t>(bytes), stream);
    if (stream) Isa::fence();
  }

  static void scatter(std::byte* base, const Blocks& blocks, Cursor& cursor, const std::byte* in,
                      std::size_t bytes, Stores stores) noexcept {
    const bool stream = stores == Stores::streaming;
    linear<false>(address(base), blocks, cursor, address(in), static_cast<std::int64_t>(bytes), stream);
    if (stream) Isa::fence();
  }

  static void copy(std::byte* target, const Blocks& target_blocks, Cursor& target_cursor,
                   const std::byte* source, const Blocks& source_blocks, Cursor& source_cursor,
                   std::size_t bytes, Stores stores) noexcept {
    alignas(kLine) std::byte stage[kStage];
    const bool stream = stores == Stores::streaming;
    const Address place = address(stage);
    auto left = static_cast<std::int64_t>(bytes);
    while (left > 0) {
      const std::int64_t n = left < kStage ? left : kStage;
      linear<true>(address(source), source_blocks, source_cursor, place, n, false);
      linear<false>(address(target), target_blocks, target_cursor, place, n, stream);
      left -= n;
    }
    if (stream) Isa::fence();
  }
};

}  // namespace mpix::kernels::host
