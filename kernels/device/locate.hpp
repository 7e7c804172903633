// SPDX-License-Identifier: BSD-3-Clause
/// Where a byte lies, by its position. Plain arithmetic for kernels and for the host. What takes arrays of
/// kCount elements does the same for each of them, and lets their loads overlap.
#pragma once

#include "kernels/device/job.hpp"

/// For loops of few or unknown rounds: unrolled, they would crowd a GPU's instruction cache.
#ifdef __CUDACC__
#define MPIX_DEVICE_ROLLED _Pragma("unroll 1")
#define MPIX_DEVICE_UNROLL _Pragma("unroll")
#else
#define MPIX_DEVICE_ROLLED
#define MPIX_DEVICE_UNROLL
#endif

namespace mpix::kernels::device {

/// Upper half of a product.
MPIX_DEVICE_INLINE std::uint64_t multiply_high(std::uint64_t a, std::uint64_t b) {
#ifdef __CUDA_ARCH__
  return __umul64hi(a, b);
#else
  return static_cast<std::uint64_t>((static_cast<unsigned __int128>(a) * b) >> 64);
#endif
}

MPIX_DEVICE_INLINE std::uint32_t multiply_high(std::uint32_t a, std::uint32_t b) {
#ifdef __CUDA_ARCH__
  return __umulhi(a, b);
#else
  return static_cast<std::uint32_t>((static_cast<std::uint64_t>(a) * b) >> 32);
#endif
}

/// The Divisor of any `divisor` > 0. Source: Granlund and Montgomery, Division by Invariant Integers using
/// Multiplication, 1994: a multiplier of 65 bits is exact for all numbers of 64 bits.
constexpr Divisor make_divisor(std::uint64_t divisor) {
  constexpr std::uint64_t kMost = kTileBytes;
  const std::uint64_t clipped = divisor < kMost ? divisor : kMost;
  const auto tile_magic = static_cast<std::uint32_t>(0x7fffffffu / clipped + 1);
  std::uint32_t log = 0;  // ceil(log2(divisor))
  while (log < 64 && (std::uint64_t{1} << log) < divisor) ++log;
  if (log < 64 && (std::uint64_t{1} << log) == divisor) return {divisor, 0, log, tile_magic};
  const unsigned __int128 excess =
      (log < 64 ? static_cast<unsigned __int128>(1) << log : static_cast<unsigned __int128>(1) << 64) -
      divisor;
  // At least 1, and below 2^64 because excess < divisor < 2^64.
  const auto magic = static_cast<std::uint64_t>((excess << 64) / divisor) + 1;
  return {divisor, magic, log - 1, tile_magic};
}
constexpr Divisor make_divisor(std::int64_t divisor) {
  return make_divisor(static_cast<std::uint64_t>(divisor));
}

/// All at once, so that one branch is enough.
template <int kCount>
MPIX_DEVICE_INLINE void divide(const std::uint64_t (&numbers)[kCount], const Divisor& by,
                               std::uint64_t (&quotients)[kCount]) {
  const std::uint64_t magic = by.magic;
  const std::uint32_t shift = by.shift;
  if (magic == 0) {
    MPIX_DEVICE_UNROLL
    for (int i = 0; i < kCount; ++i) quotients[i] = numbers[i] >> shift;
    return;
  }
  MPIX_DEVICE_UNROLL
  for (int i = 0; i < kCount; ++i) {
    const std::uint64_t high = multiply_high(numbers[i], magic);
    quotients[i] = (high + ((numbers[i] - high) >> 1)) >> shift;
  }
}

MPIX_DEVICE_INLINE std::uint64_t divide(std::uint64_t number, const Divisor& by) {
  const std::uint64_t numbers[1] = {number};
  std::uint64_t quotients[1];
  divide(numbers, by, quotients);
  return quotients[0];
}

MPIX_DEVICE_INLINE std::int64_t end_of(const std::int64_t& end) {
  return end;
}
MPIX_DEVICE_INLINE std::int64_t end_of(const Piece& piece) {
  return piece.end;
}

/// Of the entries from entries[i] on, in order of their ends, the first one that ends behind at[i]: it is
/// number found[i] <= more[i]. Searches that are done look at what they found until all of them are.
template <int kCount, typename Entry, typename Number>
MPIX_DEVICE_INLINE void search(const Entry* const (&entries)[kCount], const std::int64_t (&at)[kCount],
                               Number (&more)[kCount], Number (&found)[kCount]) {
  Number any = 0;
  MPIX_DEVICE_UNROLL
  for (int i = 0; i < kCount; ++i) {
    found[i] = 0;
    any |= more[i];
  }
  MPIX_DEVICE_ROLLED
  while (any != 0) {
    any = 0;
    std::int64_t ends[kCount];
    MPIX_DEVICE_UNROLL
    for (int i = 0; i < kCount; ++i) ends[i] = end_of(entries[i][found[i] + more[i] / 2]);
    MPIX_DEVICE_UNROLL
    for (int i = 0; i < kCount; ++i) {
      const Number half = more[i] / 2;
      const bool behind = ends[i] > at[i];
      found[i] += behind ? 0 : half + 1;
      more[i] = behind ? half : more[i] - (half + 1);
      any |= more[i];
    }
  }
}

/// Number of the entry of View::coarse at or before a position.
MPIX_DEVICE_INLINE std::int64_t coarse_entry(std::int64_t position) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(position) / kCoarse);
}

/// The runs that hold `positions`, in blocks whose runs have lengths of their own.
template <int kCount>
MPIX_DEVICE_INLINE void find_runs(const View& view, const std::int64_t (&positions)[kCount],
                                  std::int64_t (&runs)[kCount]) {
  // The last entry has no successor; where there is one, the run cannot lie behind it.
  const std::int64_t last = coarse_entry(view.ends[view.nruns - 1]);
  const std::int64_t* ends[kCount];
  std::uint32_t more[kCount], found[kCount];
  MPIX_DEVICE_UNROLL
  for (int i = 0; i < kCount; ++i) {
    const std::int64_t entry = coarse_entry(positions[i]);
    runs[i] = view.coarse[entry];
    const std::int64_t high = entry < last ? view.coarse[entry + 1] : view.nruns - 1;
    more[i] = static_cast<std::uint32_t>(high - runs[i]);  // at most kCoarse: a run has a byte
    ends[i] = view.ends + runs[i];
  }
  search(ends, positions, more, found);
  MPIX_DEVICE_UNROLL
  for (int i = 0; i < kCount; ++i) runs[i] += found[i];
}

/// Adds the offset of each run within the `ndims` outermost dimensions of strided blocks. `runs` is lost.
template <int kCount>
MPIX_DEVICE_INLINE void add_strides(const View& view, std::int32_t ndims, std::uint64_t (&runs)[kCount],
                                    std::int64_t (&offsets)[kCount]) {
  MPIX_DEVICE_ROLLED
  for (std::int32_t d = ndims - 1; d > 0; --d) {
    const StridedDim& dim = view.dims[d];
    std::uint64_t rest[kCount];
    divide(runs, dim.count, rest);
    MPIX_DEVICE_UNROLL
    for (int i = 0; i < kCount; ++i) {
      offsets[i] += static_cast<std::int64_t>(runs[i] - rest[i] * dim.count.divisor) * dim.stride;
      runs[i] = rest[i];
    }
  }
  if (ndims == 0) return;
  MPIX_DEVICE_UNROLL
  for (int i = 0; i < kCount; ++i) offsets[i] += static_cast<std::int64_t>(runs[i]) * view.dims[0].stride;
}

MPIX_DEVICE_INLINE std::int64_t strided_offset(const View& view, std::int32_t ndims, std::uint64_t run) {
  std::uint64_t runs[1] = {run};
  std::int64_t offsets[1] = {0};
  add_strides(view, ndims, runs, offsets);
  return offsets[0];
}

/// A place and how many bytes from there on are of the same run.
struct Place {
  std::byte* address;
  std::int64_t rest;
};

/// Places of `positions` >= 0, less than the bytes of the View.
template <int kCount>
MPIX_DEVICE_INLINE void locate_segments(const View& view, const std::int64_t (&positions)[kCount],
                                        Place (&places)[kCount]) {
  std::int64_t runs[kCount];
  find_runs(view, positions, runs);
  MPIX_DEVICE_UNROLL
  for (int i = 0; i < kCount; ++i) {
    const std::int64_t begin = runs[i] > 0 ? view.ends[runs[i] - 1] : 0;
    places[i] = {view.base + (view.offsets[runs[i]] + (positions[i] - begin)),
                 view.ends[runs[i]] - positions[i]};
  }
}

/// Whether all positions are of one run, and need no division.
MPIX_DEVICE_INLINE bool is_one_run(const View& view) {
  return view.form == Form::strided && view.ndims == 0;
}

template <int kCount>
MPIX_DEVICE_INLINE void locate(const View& view, const std::int64_t (&positions)[kCount],
                               Place (&places)[kCount]) {
  if (is_one_run(view)) {
    MPIX_DEVICE_UNROLL
    for (int i = 0; i < kCount; ++i)
      places[i] = {view.base + positions[i], static_cast<std::int64_t>(view.run.divisor) - positions[i]};
    return;
  }
  if (view.form == Form::segments) return locate_segments(view, positions, places);
  std::uint64_t numbers[kCount], runs[kCount];
  std::int64_t offsets[kCount];
  MPIX_DEVICE_UNROLL
  for (int i = 0; i < kCount; ++i) numbers[i] = static_cast<std::uint64_t>(positions[i]);
  divide(numbers, view.run, runs);
  MPIX_DEVICE_UNROLL
  for (int i = 0; i < kCount; ++i) {
    offsets[i] = static_cast<std::int64_t>(numbers[i] - runs[i] * view.run.divisor);
    places[i].rest = static_cast<std::int64_t>(view.run.divisor) - offsets[i];
  }
  if (view.form == Form::strided) {
    add_strides(view, view.ndims, runs, offsets);
  } else {
    MPIX_DEVICE_UNROLL
    for (int i = 0; i < kCount; ++i) offsets[i] += view.offsets[runs[i]];
  }
  MPIX_DEVICE_UNROLL
  for (int i = 0; i < kCount; ++i) places[i].address = view.base + offsets[i];
}

MPIX_DEVICE_INLINE Place locate(const View& view, std::int64_t position) {
  const std::int64_t positions[1] = {position};
  Place places[1];
  locate(view, positions, places);
  return places[0];
}

/// Where a tile of a job begins.
struct Start {
  std::int64_t source, target;  ///< positions on both sides
  std::int64_t piece;           ///< number of its first piece
  std::uint32_t more_pieces;    ///< that follow in the tile, no more than bytes
};

MPIX_DEVICE_INLINE Start start_at(const Job& job, std::int64_t begin, std::uint32_t bytes) {
  if (job.pieces == nullptr) return {job.source_start + begin, job.target_start + begin, 0, 0};
  const Piece* const pieces[2] = {job.pieces, job.pieces};
  const std::int64_t at[2] = {begin, begin + (bytes - 1)};
  const auto last = static_cast<std::uint64_t>(job.npieces - 1);
  std::uint64_t more[2] = {last, last}, found[2];
  search(pieces, at, more, found);
  const Piece& piece = job.pieces[found[0]];
  const std::int64_t within = begin - (found[0] > 0 ? job.pieces[found[0] - 1].end : 0);
  return {job.source_start + piece.source + within, job.target_start + piece.target + within,
          static_cast<std::int64_t>(found[0]), static_cast<std::uint32_t>(found[1] - found[0])};
}

/// The job that tile number `tile` of a batch belongs to.
MPIX_DEVICE_INLINE std::int64_t find_job(const std::int64_t* first_tile, std::int64_t njobs,
                                         std::int64_t tile) {
  std::int64_t low = 0, high = njobs - 1;
  MPIX_DEVICE_ROLLED
  while (low < high) {
    const std::int64_t middle = (low + high + 1) / 2;
    if (first_tile[middle] <= tile) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

}  // namespace mpix::kernels::device
