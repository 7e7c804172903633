// SPDX-License-Identifier: BSD-3-Clause
/// Gather, scatter and copy of one instruction set, from the pieces of this folder.
#pragma once

#include "kernels/host.hpp"
#include "kernels/host/move.hpp"
#include "kernels/host/rows.hpp"
#include "kernels/host/segments.hpp"
#include "kernels/host/tiles.hpp"
#include "kernels/host/walk.hpp"

namespace mpix::kernels::host {

template <class Isa>
struct Loops {
  using M = Move<Isa>;
  using R = Rows<Isa>;

  /// Bytes that wait in the first-level cache between two layouts of short runs.
  static constexpr std::int64_t kStage = 16384;
  /// The same where a side is a transpose, which needs several listed rows at a time.
  static constexpr std::int64_t kTileStage = 65536;
  /// From here on runs are moved directly even if their lengths or their alignment differ.
  static constexpr std::int64_t kDirectRun = 2048;
  /// From here on a run of one side is as good as contiguous memory, against short runs of the other.
  static constexpr std::int64_t kLongRun = 16384;

  /// A single run of fewer bytes is written by ordinary stores whatever was asked for.
  static constexpr std::size_t kFencedRun = 1024;

  /// Small messages: so many bytes, in so many runs, are moved run by run with ordinary stores.
  static constexpr std::size_t kBrief = 512;
  static constexpr std::int64_t kBriefRuns = 4;

  static constexpr HostKernels table(const char* name) { return {name, gather, scatter, copy}; }

  static Address address(const std::byte* p) { return reinterpret_cast<Address>(p); }

  /// A walk that may stand inside a run.
  struct Position {
    const Blocks& blocks;
    Address base;
    Walk<Isa> walk;
    std::int64_t within;

    Position(Address at, const Blocks& b, const Cursor& cursor)
        : blocks(b), base(at), walk(at, b, cursor.run), within(cursor.within) {}
    Cursor cursor() const { return {walk.run(), within}; }
    Address place() const { return walk.place() + static_cast<Address>(within); }
    std::int64_t rest() const { return walk.length() - within; }
    /// Steps over `n` <= rest() bytes.
    void advance(std::int64_t n) {
      within += n;
      if (within < walk.length()) return;
      within = 0;
      walk.advance(1);
    }
  };

  MPIX_KERNEL_INLINE void run(Address to, Address from, std::int64_t bytes, bool stream) {
    const auto n = static_cast<std::size_t>(bytes);
    if (stream) {
      M::template streaming<false>(to, from, n, from);
    } else {
      M::template cached<false>(to, from, n, from);
    }
  }

  /// Blocks against contiguous memory, in the direction of kGather. kFar: the memory is not in the cache.
  template <bool kGather, bool kFar = false>
  static void linear(Position& at, Address flat, std::int64_t bytes, bool stream) {
    while (bytes > 0) {
      std::int64_t moved = 0;
      if (at.within == 0 && bytes >= at.walk.length()) {
        moved = whole_runs<kGather, kFar>(at, flat, bytes, stream);
      } else {
        moved = at.rest() < bytes ? at.rest() : bytes;
        const Address place = at.place();
        run(kGather ? flat : place, kGather ? place : flat, moved, stream);
        at.advance(moved);
      }
      flat += static_cast<Address>(moved);
      bytes -= moved;
    }
  }

  /// Returns the bytes of as many whole runs as one of the loops takes at once.
  template <bool kGather, bool kFar>
  static std::int64_t whole_runs(Position& at, Address flat, std::int64_t bytes, bool stream) {
    if (!at.walk.uniform()) {
      const std::int64_t before = at.walk.run();
      Segments<Isa, kGather> segments(at.base, at.blocks, before, stream);
      const std::int64_t moved = segments.move(flat, bytes);
      at.walk.advance(segments.run() - before);
      return moved;
    }
    const std::int64_t length = at.walk.length();
    if (const std::int64_t tiled = tile<kGather>(at, flat, bytes, stream)) return tiled;
    const std::int64_t fit = bytes / length;
    const std::int64_t n = fit < at.walk.span() ? fit : at.walk.span();
    const Flat<Isa, kFar> line{flat, length, n};
    if (at.walk.strided()) {
      rows<kGather>(at.walk.as_strided(), line, n, length, stream);
    } else {
      rows<kGather>(at.walk.as_indexed(), line, n, length, stream);
    }
    at.walk.advance(n);
    return n * length;
  }

  /// Listed rows of a transpose; 0 where there are not at least two.
  template <bool kGather>
  static std::int64_t tile(Position& at, Address flat, std::int64_t bytes, bool stream) {
    const std::int64_t columns = at.walk.columns();
    const std::int64_t length = at.walk.length();
    if (columns == 0 || !Tile<Isa>::takes(length)) return 0;
    std::int64_t n = bytes / (columns * length);
    if (n > at.walk.repetitions()) n = at.walk.repetitions();
    if (n < 2) return 0;
    const Tile<Isa> tile{at.place(), at.walk.as_strided().stride, columns, n, flat};
    Tile<Isa>::template move<kGather>(tile, length, stream);
    at.walk.repeat(n);
    return n * columns * length;
  }

  template <bool kGather, class Places, class Line>
  MPIX_KERNEL_INLINE void rows(Places places, Line line, std::int64_t n, std::int64_t length, bool stream) {
    if constexpr (kGather) {
      R::move(line, places, n, length, stream);
    } else {
      R::move(places, line, n, length, stream);
    }
  }

  /// Contiguous memory written by streaming stores from blocks of short runs: collected in the cache first,
  /// so that whole lines are streamed.
  static void assemble(Position& from, Address to, std::int64_t bytes) {
    alignas(kLine) std::byte stage[kTileStage];
    const Address place = address(stage);
    const std::int64_t size = from.walk.transposed() ? kTileStage : kStage;
    std::int64_t n = size - static_cast<std::int64_t>(to % kLine);
    for (std::int64_t left = bytes; left > 0; left -= n, n = size) {
      if (n > left) n = left;
      linear<true>(from, place, n, false);
      M::template streaming<false>(to, place, static_cast<std::size_t>(n), place);
      to += static_cast<Address>(n);
    }
  }

  /// Whether every run begins and ends with a line of the contiguous target.
  static bool whole_lines(const Blocks& blocks, Address to, std::int64_t within) {
    const auto line = static_cast<std::int64_t>(kLine);
    return blocks.form != Form::segments && blocks.run % line == 0 &&
           (to - static_cast<Address>(within)) % kLine == 0;
  }

  /// Where the next `n` bytes lie, if they lie in one run that is found without dividing. Small messages live
  /// on this path.
  struct Covered {
    Address place;
    bool found;
  };
  MPIX_KERNEL_INLINE Covered covered(Address base, const Blocks& b, const Cursor& cursor, std::size_t n) {
    const std::int64_t length = b.form == Form::segments ? b.lengths[cursor.run] : b.run;
    if (cursor.within + static_cast<std::int64_t>(n) > length) return {0, false};
    std::int64_t place = 0;
    if (b.form != Form::strided) {
      place = b.offsets[cursor.run];
    } else if (b.ndims == 1) {
      place = cursor.run * b.dims[0].stride;
    } else if (b.ndims > 1) {
      return {0, false};
    }
    return {base + static_cast<Address>(b.offset + place + cursor.within), true};
  }

  /// Steps over `n` bytes that `covered` found.
  MPIX_KERNEL_INLINE void pass(const Blocks& b, Cursor& cursor, std::size_t n) {
    cursor.within += static_cast<std::int64_t>(n);
    if (cursor.within < (b.form == Form::segments ? b.lengths[cursor.run] : b.run)) return;
    cursor.within = 0;
    ++cursor.run;
  }

  /// Whether the next `bytes` bytes are so few runs that finding out how to move many does not pay.
  MPIX_KERNEL_INLINE bool brief(const Blocks& b, const Cursor& cursor, std::size_t bytes) {
    if (bytes > kBrief || (b.form == Form::strided && b.ndims > 1)) return false;
    return static_cast<std::int64_t>(bytes) <= kBriefRuns * length(b, cursor);
  }
  MPIX_KERNEL_INLINE std::int64_t length(const Blocks& b, const Cursor& cursor) {
    return b.form == Form::segments ? b.lengths[cursor.run] : b.run;
  }
  MPIX_KERNEL_INLINE std::size_t rest(const Blocks& b, const Cursor& cursor) {
    return static_cast<std::size_t>(length(b, cursor) - cursor.within);
  }
  /// Where a cursor stands, in any form of at most one dimension.
  MPIX_KERNEL_INLINE Address place(Address base, const Blocks& b, const Cursor& cursor) {
    std::int64_t run = 0;
    if (b.form != Form::strided) {
      run = b.offsets[cursor.run];
    } else if (b.ndims == 1) {
      run = cursor.run * b.dims[0].stride;
    }
    return base + static_cast<Address>(b.offset + run + cursor.within);
  }

  template <bool kGather>
  [[gnu::noinline]] static void brief_linear(Address base, const Blocks& b, Cursor& cursor, Address flat,
                                             std::size_t bytes) {
    while (bytes > 0) {
      const std::size_t left = rest(b, cursor);
      const std::size_t n = left < bytes ? left : bytes;
      const Address at = place(base, b, cursor);
      M::template cached<false>(kGather ? flat : at, kGather ? at : flat, n, at);
      pass(b, cursor, n);
      flat += n;
      bytes -= n;
    }
  }

  [[gnu::noinline]] static void brief_copy(Address to, const Blocks& to_blocks, Cursor& to_cursor,
                                           Address from, const Blocks& from_blocks, Cursor& from_cursor,
                                           std::size_t bytes) {
    while (bytes > 0) {
      std::size_t n = rest(to_blocks, to_cursor);
      const std::size_t left = rest(from_blocks, from_cursor);
      if (left < n) n = left;
      if (bytes < n) n = bytes;
      const Address source = place(from, from_blocks, from_cursor);
      M::template cached<false>(place(to, to_blocks, to_cursor), source, n, source);
      pass(to_blocks, to_cursor, n);
      pass(from_blocks, from_cursor, n);
      bytes -= n;
    }
  }

  /// One run; streaming only where it pays for its fence.
  MPIX_KERNEL_INLINE void single(Address to, Address from, std::size_t n, Stores stores) {
    if (stores == Stores::cached || n < kFencedRun) {
      M::template cached<false>(to, from, n, from);
    } else {
      M::template streaming<false>(to, from, n, from);
      Isa::fence();
    }
  }

  static void gather(const std::byte* base, const Blocks& blocks, Cursor& cursor, std::byte* out,
                     std::size_t bytes, Stores stores) noexcept {
    if (bytes == 0) return;
    const Covered from = covered(address(base), blocks, cursor, bytes);
    if (!from.found && brief(blocks, cursor, bytes))
      return brief_linear<true>(address(base), blocks, cursor, address(out), bytes);
    if (!from.found) return gather_runs(address(base), blocks, cursor, address(out), bytes, stores);
    single(address(out), from.place, bytes, stores);
    pass(blocks, cursor, bytes);
  }

  static void scatter(std::byte* base, const Blocks& blocks, Cursor& cursor, const std::byte* in,
                      std::size_t bytes, Stores stores) noexcept {
    if (bytes == 0) return;
    const Covered to = covered(address(base), blocks, cursor, bytes);
    if (!to.found && brief(blocks, cursor, bytes))
      return brief_linear<false>(address(base), blocks, cursor, address(in), bytes);
    if (!to.found) return scatter_runs(address(base), blocks, cursor, address(in), bytes, stores);
    single(to.place, address(in), bytes, stores);
    pass(blocks, cursor, bytes);
  }

  static void copy(std::byte* target, const Blocks& target_blocks, Cursor& target_cursor,
                   const std::byte* source, const Blocks& source_blocks, Cursor& source_cursor,
                   std::size_t bytes, Stores stores) noexcept {
    if (bytes == 0) return;
    const Covered to = covered(address(target), target_blocks, target_cursor, bytes);
    const Covered from = covered(address(source), source_blocks, source_cursor, bytes);
    if (to.found && from.found) {
      single(to.place, from.place, bytes, stores);
      pass(target_blocks, target_cursor, bytes);
      pass(source_blocks, source_cursor, bytes);
    } else if (brief(target_blocks, target_cursor, bytes) && brief(source_blocks, source_cursor, bytes)) {
      brief_copy(address(target), target_blocks, target_cursor, address(source), source_blocks, source_cursor,
                 bytes);
    } else {
      copy_runs(address(target), target_blocks, target_cursor, address(source), source_blocks, source_cursor,
                bytes, stores);
    }
  }

  [[gnu::noinline]] static void gather_runs(Address base, const Blocks& blocks, Cursor& cursor, Address out,
                                            std::size_t bytes, Stores stores) {
    Position from(base, blocks, cursor);
    const auto n = static_cast<std::int64_t>(bytes);
    into(out, from, n, stores == Stores::streaming);
    if (stores == Stores::streaming) Isa::fence();
    cursor = from.cursor();
  }

  /// Into contiguous memory.
  static void into(Address to, Position& from, std::int64_t bytes, bool stream) {
    if (!stream || from.rest() >= bytes || from.walk.length() >= kDirectRun ||
        whole_lines(from.blocks, to, from.within)) {
      linear<true>(from, to, bytes, stream);
    } else {
      assemble(from, to, bytes);
    }
  }

  [[gnu::noinline]] static void scatter_runs(Address base, const Blocks& blocks, Cursor& cursor, Address in,
                                             std::size_t bytes, Stores stores) {
    const bool stream = stores == Stores::streaming;
    Position to(base, blocks, cursor);
    linear<false>(to, in, static_cast<std::int64_t>(bytes), stream);
    if (stream) Isa::fence();
    cursor = to.cursor();
  }

  [[gnu::noinline]] static void copy_runs(Address target, const Blocks& target_blocks, Cursor& target_cursor,
                                          Address source, const Blocks& source_blocks, Cursor& source_cursor,
                                          std::size_t bytes, Stores stores) {
    const bool stream = stores == Stores::streaming;
    Position to(target, target_blocks, target_cursor);
    Position from(source, source_blocks, source_cursor);
    const auto n = static_cast<std::int64_t>(bytes);
    if (to.rest() >= n) {
      into(to.place(), from, n, stream);
      to.advance(n);
    } else if (from.rest() >= n) {
      linear<false>(to, from.place(), n, stream);
      from.advance(n);
    } else {
      between(to, from, n, stream);
    }
    if (stream) Isa::fence();
    target_cursor = to.cursor();
    source_cursor = from.cursor();
  }

  /// Two layouts, neither of which is contiguous here.
  static void between(Position& to, Position& from, std::int64_t bytes, bool stream) {
    const bool transposed = from.walk.transposed() || to.walk.transposed();
    const std::int64_t size = transposed ? kTileStage : kStage;
    const std::int64_t direct = transposed ? kTileStage : kLongRun;
    while (bytes > 0) {
      const std::int64_t common = to.rest() < from.rest() ? to.rest() : from.rest();
      std::int64_t n = 0;
      if (paired(to, from, bytes)) {
        n = pairs(to, from, bytes, stream);
      } else if (common >= kDirectRun || common >= bytes) {
        n = common < bytes ? common : bytes;
        run(to.place(), from.place(), n, stream);
        to.advance(n);
        from.advance(n);
      } else if (to.rest() >= direct) {
        n = to.rest() < bytes ? to.rest() : bytes;
        if (stream) {
          into(to.place(), from, n, true);
        } else {
          linear<true, true>(from, to.place(), n, false);
        }
        to.advance(n);
      } else if (from.rest() >= direct) {
        n = from.rest() < bytes ? from.rest() : bytes;
        linear<false, true>(to, from.place(), n, stream);
        from.advance(n);
      } else {
        n = bytes < size ? bytes : size;
        staged(to, from, n, stream);
      }
      bytes -= n;
    }
  }

  /// At most kTileStage bytes by way of the first-level cache.
  [[gnu::noinline]] static void staged(Position& to, Position& from, std::int64_t bytes, bool stream) {
    alignas(kLine) std::byte stage[kTileStage];
    linear<true>(from, address(stage), bytes, false);
    linear<false>(to, address(stage), bytes, stream);
  }

  /// Whether both stand at whole runs of one length, and tiles have nothing to offer.
  static bool paired(const Position& to, const Position& from, std::int64_t bytes) {
    const std::int64_t length = to.walk.length();
    if (to.within != 0 || from.within != 0 || !to.walk.uniform() || !from.walk.uniform()) return false;
    if (Tile<Isa>::takes(length) && (to.walk.transposed() || from.walk.transposed())) return false;
    return length == from.walk.length() && bytes >= length;
  }

  static std::int64_t pairs(Position& to, Position& from, std::int64_t bytes, bool stream) {
    const std::int64_t length = to.walk.length();
    std::int64_t n = bytes / length;
    if (n > to.walk.span()) n = to.walk.span();
    if (n > from.walk.span()) n = from.walk.span();
    if (to.walk.strided()) {
      pairs_to(to.walk.as_strided(), from.walk, n, length, stream);
    } else {
      pairs_to(to.walk.as_indexed(), from.walk, n, length, stream);
    }
    to.walk.advance(n);
    from.walk.advance(n);
    return n * length;
  }

  template <class To>
  MPIX_KERNEL_INLINE void pairs_to(To to, const Walk<Isa>& from, std::int64_t n, std::int64_t length,
                                   bool stream) {
    if (from.strided()) {
      R::move(to, from.as_strided(), n, length, stream);
    } else {
      R::move(to, from.as_indexed(), n, length, stream);
    }
  }
};

}  // namespace mpix::kernels::host
