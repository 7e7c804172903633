// SPDX-License-Identifier: BSD-3-Clause
/// What one thread of the copy kernel does. Threads neither share memory nor wait for each other, so that
/// tests can run each of them on the host, in any order.
#pragma once

#include "kernels/device/rows.hpp"

namespace mpix::kernels::device {

/// What is moved at a time.
template <int kWidth>
struct alignas(kWidth) Word {
  std::uint32_t parts[kWidth / 4];
};
template <>
struct Word<1> {
  std::uint8_t part;
};
template <>
struct alignas(2) Word<2> {
  std::uint16_t part;
};

/// Data is read once and written once: past the first-level cache where a kernel can say so.
template <int kWidth>
MPIX_DEVICE_INLINE Word<kWidth> load(const std::byte* from) {
#ifdef __CUDA_ARCH__
  if constexpr (kWidth == 16) {
    const uint4 value = __ldcs(reinterpret_cast<const uint4*>(from));
    return {{value.x, value.y, value.z, value.w}};
  } else if constexpr (kWidth == 8) {
    const uint2 value = __ldcs(reinterpret_cast<const uint2*>(from));
    return {{value.x, value.y}};
  } else {
    return *reinterpret_cast<const Word<kWidth>*>(from);
  }
#else
  Word<kWidth> word;
  __builtin_memcpy(&word, __builtin_assume_aligned(from, kWidth), kWidth);
  return word;
#endif
}

template <int kWidth>
MPIX_DEVICE_INLINE void store(std::byte* to, const Word<kWidth>& word) {
#ifdef __CUDA_ARCH__
  if constexpr (kWidth == 16) {
    __stcs(reinterpret_cast<uint4*>(to),
           make_uint4(word.parts[0], word.parts[1], word.parts[2], word.parts[3]));
  } else if constexpr (kWidth == 8) {
    __stcs(reinterpret_cast<uint2*>(to), make_uint2(word.parts[0], word.parts[1]));
  } else {
    *reinterpret_cast<Word<kWidth>*>(to) = word;
  }
#else
  __builtin_memcpy(__builtin_assume_aligned(to, kWidth), &word, kWidth);
#endif
}

/// Words that a thread reads before it writes them, so that their latencies overlap.
inline constexpr int kBatchWords = 4;
/// The same where each word is looked up by itself, for which the registers have to last.
inline constexpr int kLookupWords = 2;

/// A tile of a job, and its rows on the sides where it has some.
struct Tile {
  std::int64_t begin;  ///< its first byte within the job
  std::uint32_t bytes;
  Start start;
  bool has_source_rows = false, has_target_rows = false;
  Rows source = {}, target = {};
};

/// A tile that lies in one run on both sides, by words that neighbouring threads take in turn.
template <int kWidth>
MPIX_DEVICE_INLINE void move_run(const std::byte* source, std::byte* target, std::uint32_t bytes,
                                 std::uint32_t thread) {
  constexpr std::uint32_t kRound = kThreads * kWidth;
  MPIX_DEVICE_ROLLED
  for (std::uint32_t at = thread * kWidth; at < bytes; at += kBatchWords * kRound) {
    Word<kWidth> words[kBatchWords];
    MPIX_DEVICE_UNROLL
    for (std::uint32_t i = 0; i < kBatchWords; ++i)
      if (at + i * kRound < bytes) words[i] = load<kWidth>(source + (at + i * kRound));
    MPIX_DEVICE_UNROLL
    for (std::uint32_t i = 0; i < kBatchWords; ++i)
      if (at + i * kRound < bytes) store<kWidth>(target + (at + i * kRound), words[i]);
  }
}

/// Words of `width` bytes, from byte `at` of the tile on, kThreads words apart. In place of those behind the
/// tile's end stands its last word: it is read, which is cheaper than to ask, but not written.
template <int kCount>
MPIX_DEVICE_INLINE void words_from(std::uint32_t at, std::uint32_t bytes, std::uint32_t width,
                                   std::uint32_t (&places)[kCount]) {
  MPIX_DEVICE_UNROLL
  for (std::uint32_t i = 0; i < kCount; ++i) {
    const std::uint32_t place = at + i * (kThreads * width);
    places[i] = place < bytes - width ? place : bytes - width;
  }
}

template <int kWidth, int kCount>
MPIX_DEVICE_INLINE void load_words(std::byte* const (&from)[kCount], Word<kWidth> (&words)[kCount]) {
  MPIX_DEVICE_UNROLL
  for (int i = 0; i < kCount; ++i) words[i] = load<kWidth>(from[i]);
}

template <int kWidth, int kCount>
MPIX_DEVICE_INLINE void store_words(std::byte* const (&to)[kCount], const Word<kWidth> (&words)[kCount],
                                    std::uint32_t at, std::uint32_t bytes) {
  MPIX_DEVICE_UNROLL
  for (std::uint32_t i = 0; i < kCount; ++i)
    if (at + i * (kThreads * kWidth) < bytes) store<kWidth>(to[i], words[i]);
}

/// A tile of rows on both sides.
template <int kWidth>
MPIX_DEVICE_INLINE void move_rows(const Rows& source, const Rows& target, std::uint32_t bytes,
                                  std::uint32_t thread) {
  constexpr std::uint32_t kBatch = kBatchWords * kThreads * kWidth;
  MPIX_DEVICE_ROLLED
  for (std::uint32_t at = thread * kWidth; at < bytes; at += kBatch) {
    std::uint32_t places[kBatchWords];
    std::byte* addresses[kBatchWords];
    Word<kWidth> words[kBatchWords];
    words_from(at, bytes, kWidth, places);
    addresses_in(source, places, addresses);
    load_words(addresses, words);
    addresses_in(target, places, addresses);
    store_words(addresses, words, at, bytes);
    if constexpr (kBatch >= kTileBytes) break;
  }
}

/// Pieces of a job that words of a tile may lie in: number `first`, and `more` that follow.
struct PieceRange {
  std::int64_t first;
  std::uint32_t more;
};

/// Positions of bytes of the job, in rising order. `range` then leaves out what lies before the last one.
template <int kCount>
MPIX_DEVICE_INLINE void positions_in(const Job& job, PieceRange& range, const std::int64_t (&at)[kCount],
                                     std::int64_t (&source)[kCount], std::int64_t (&target)[kCount]) {
  const Piece* pieces[kCount];
  std::uint32_t more[kCount], found[kCount];
  MPIX_DEVICE_UNROLL
  for (int i = 0; i < kCount; ++i) {
    pieces[i] = job.pieces + range.first;
    more[i] = range.more;
  }
  search(pieces, at, more, found);
  MPIX_DEVICE_UNROLL
  for (int i = 0; i < kCount; ++i) {
    const std::int64_t number = range.first + found[i];
    const std::int64_t begin = number > 0 ? job.pieces[number - 1].end : 0;
    source[i] += job.pieces[number].source - begin;
    target[i] += job.pieces[number].target - begin;
  }
  range.first += found[kCount - 1];
  range.more -= found[kCount - 1];
}

/// Addresses of bytes of the tile, which have `positions`.
template <int kCount>
MPIX_DEVICE_INLINE void addresses_of(const View& view, bool has_rows, const Rows& rows,
                                     const std::uint32_t (&at)[kCount],
                                     const std::int64_t (&positions)[kCount],
                                     std::byte* (&addresses)[kCount]) {
  if (has_rows) return addresses_in(rows, at, addresses);
  Place places[kCount];
  locate(view, positions, places);
  MPIX_DEVICE_UNROLL
  for (int i = 0; i < kCount; ++i) addresses[i] = places[i].address;
}

/// Where the words of a tile come from and go to. `rows`: of the side that has some; there is no more than
/// one, because tiles with rows on both sides are not looked up.
template <int kCount>
MPIX_DEVICE_INLINE void look_up(const Job& job, const Tile& tile, const Rows& rows, PieceRange& range,
                                const std::uint32_t (&at)[kCount], std::byte* (&from)[kCount],
                                std::byte* (&to)[kCount]) {
  std::int64_t source[kCount], target[kCount], in_job[kCount];
  MPIX_DEVICE_UNROLL
  for (int i = 0; i < kCount; ++i) {
    in_job[i] = tile.begin + at[i];
    source[i] = job.source_start + in_job[i];
    target[i] = job.target_start + in_job[i];
  }
  if (job.pieces != nullptr) positions_in(job, range, in_job, source, target);
  addresses_of(job.source, tile.has_source_rows, rows, at, source, from);
  addresses_of(job.target, tile.has_target_rows, rows, at, target, to);
}

template <int kWidth, int kCount>
MPIX_DEVICE_INLINE void copy_words(std::byte* const (&from)[kCount], std::byte* const (&to)[kCount],
                                   std::uint32_t at, std::uint32_t bytes) {
  Word<kWidth> words[kCount];
  load_words(from, words);
  store_words(to, words, at, bytes);
}

/// Any tile. The width is no parameter of a template: finding the words takes longer than moving them, and
/// is the same for all widths.
MPIX_DEVICE_INLINE void move_words(const Job& job, const Tile& tile, std::uint32_t thread) {
  const std::uint32_t width = job.width;
  PieceRange range = {tile.start.piece, tile.start.more_pieces};
  const Rows rows = tile.has_source_rows ? tile.source : tile.target;
  MPIX_DEVICE_ROLLED
  for (std::uint32_t at = thread * width; at < tile.bytes; at += kLookupWords * kThreads * width) {
    std::uint32_t places[kLookupWords];
    std::byte *from[kLookupWords], *to[kLookupWords];
    words_from(at, tile.bytes, width, places);
    look_up(job, tile, rows, range, places, from, to);
    if (width == 16) copy_words<16>(from, to, at, tile.bytes);
    if (width == 8) copy_words<8>(from, to, at, tile.bytes);
    if (width == 4) copy_words<4>(from, to, at, tile.bytes);
    if (width == 2) copy_words<2>(from, to, at, tile.bytes);
    if (width == 1) copy_words<1>(from, to, at, tile.bytes);
  }
}

/// The tile from byte `begin` of the job on.
MPIX_DEVICE_INLINE Tile find_tile(const Job& job, std::int64_t begin) {
  const std::int64_t rest = job.bytes - begin;
  const auto all = static_cast<std::uint32_t>(rest < kTileBytes ? rest : kTileBytes);
  Tile tile = {begin, all, start_at(job, begin, all)};
  if (tile.start.more_pieces > 0) return tile;
  const auto bytes = static_cast<std::int32_t>(all);
  tile.has_source_rows = find_rows(job.source, tile.start.source, bytes, tile.source);
  tile.has_target_rows = find_rows(job.target, tile.start.target, bytes, tile.target);
  return tile;
}

/// A tile of rows on both sides.
template <int kWidth>
MPIX_DEVICE_INLINE void move_tile(const Tile& tile, std::uint32_t thread) {
  if (tile.source.magic == 0 && tile.target.magic == 0) {
    move_run<kWidth>(tile.source.first, tile.target.first, tile.bytes, thread);
  } else {
    move_rows<kWidth>(tile.source, tile.target, tile.bytes, thread);
  }
}

/// Everything that thread `thread` of block `block` does.
MPIX_DEVICE_INLINE void run_thread(const Batch& batch, std::int64_t block, int thread) {
  const std::int64_t* const first_tile = batch.first_tile != nullptr ? batch.first_tile : batch.inline_first;
  const std::int64_t number = find_job(first_tile, batch.njobs, block);
  const Job& job = (batch.jobs != nullptr ? batch.jobs : batch.inline_jobs)[number];
  const Tile tile = find_tile(job, (block - first_tile[number]) * kTileBytes);
  const auto lane = static_cast<std::uint32_t>(thread);
  if (!tile.has_source_rows || !tile.has_target_rows) return move_words(job, tile, lane);
  switch (job.width) {
    case 16:
      return move_tile<16>(tile, lane);
    case 8:
      return move_tile<8>(tile, lane);
    case 4:
      return move_tile<4>(tile, lane);
    case 2:
      return move_tile<2>(tile, lane);
    default:
      return move_tile<1>(tile, lane);
  }
}

}  // namespace mpix::kernels::device
