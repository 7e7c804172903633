// SPDX-License-Identifier: BSD-3-Clause
/// Where a byte lies, by its position. Plain arithmetic for kernels and for the host.
#pragma once

#include "kernels/device/job.hpp"

/// For loops of few or unknown rounds: unrolled, they would crowd a GPU's instruction cache.
#ifdef __CUDACC__
#define MPIX_DEVICE_ROLLED _Pragma("unroll 1")
#else
#define MPIX_DEVICE_ROLLED
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

/// The Divisor of any `divisor` > 0. Source: Granlund and Montgomery, Division by Invariant Integers using
/// Multiplication, 1994: a multiplier of 65 bits is exact for all numbers of 64 bits.
constexpr Divisor make_divisor(std::uint64_t divisor) {
  std::uint32_t log = 0;  // ceil(log2(divisor))
  while (log < 64 && (std::uint64_t{1} << log) < divisor) ++log;
  if (log < 64 && (std::uint64_t{1} << log) == divisor) return {divisor, 0, log, 0};
  const unsigned __int128 excess =
      (log < 64 ? static_cast<unsigned __int128>(1) << log : static_cast<unsigned __int128>(1) << 64) -
      divisor;
  return {divisor, static_cast<std::uint64_t>((excess << 64) / divisor) + 1, log - 1, 1};
}
constexpr Divisor make_divisor(std::int64_t divisor) {
  return make_divisor(static_cast<std::uint64_t>(divisor));
}

MPIX_DEVICE_INLINE std::uint64_t divide(std::uint64_t number, const Divisor& by) {
  if (by.add == 0) return number >> by.shift;
  const std::uint64_t high = multiply_high(number, by.magic);
  return (high + ((number - high) >> 1)) >> by.shift;
}

/// A place and how many bytes from there on are of the same run.
struct Place {
  std::byte* address;
  std::int64_t rest;
};

/// The run that holds `position`, in blocks whose runs have lengths of their own.
MPIX_DEVICE_INLINE std::int64_t find_run(const View& view, std::int64_t position) {
  const auto step = static_cast<std::int64_t>(static_cast<std::uint64_t>(position) / kCoarse);
  std::int64_t low = view.coarse[step];
  std::int64_t high = view.nruns - 1;
  // The last entry has no successor; where there is one, the run cannot lie behind it.
  const auto last =
      static_cast<std::int64_t>(static_cast<std::uint64_t>(view.ends[view.nruns - 1]) / kCoarse);
  if (step < last) high = view.coarse[step + 1];
  MPIX_DEVICE_ROLLED
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    if (view.ends[middle] > position) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

/// The offset of run number `run` of strided blocks.
MPIX_DEVICE_INLINE std::int64_t strided_offset(const View& view, std::uint64_t run) {
  std::int64_t offset = 0;
  MPIX_DEVICE_ROLLED
  for (std::int32_t d = view.ndims - 1; d > 0; --d) {
    const std::uint64_t rest = divide(run, view.dims[d].count);
    offset += static_cast<std::int64_t>(run - rest * view.dims[d].count.divisor) * view.dims[d].stride;
    run = rest;
  }
  return view.ndims == 0 ? 0 : offset + static_cast<std::int64_t>(run) * view.dims[0].stride;
}

/// `position` >= 0, less than the bytes of the View.
MPIX_DEVICE_INLINE Place locate(const View& view, std::int64_t position) {
  if (view.form == Form::segments) {
    const std::int64_t run = find_run(view, position);
    const std::int64_t begin = run > 0 ? view.ends[run - 1] : 0;
    return {view.base + view.offsets[run] + (position - begin), view.ends[run] - position};
  }
  const std::uint64_t run = divide(static_cast<std::uint64_t>(position), view.run);
  const std::int64_t within = position - static_cast<std::int64_t>(run * view.run.divisor);
  const std::int64_t offset = view.form == Form::indexed ? view.offsets[run] : strided_offset(view, run);
  return {view.base + offset + within, static_cast<std::int64_t>(view.run.divisor) - within};
}

/// The piece of a job that holds its byte `at`.
MPIX_DEVICE_INLINE std::int64_t find_piece(const Job& job, std::int64_t at) {
  std::int64_t low = 0, high = job.npieces - 1;
  MPIX_DEVICE_ROLLED
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    if (job.pieces[middle].end > at) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

/// The positions of a job's byte on both sides, and how many bytes from there on are of the same piece.
struct Positions {
  std::int64_t source, target, rest;
};

MPIX_DEVICE_INLINE Positions positions_at(const Job& job, std::int64_t at) {
  if (job.pieces == nullptr) return {job.source_start + at, job.target_start + at, job.bytes - at};
  const std::int64_t number = find_piece(job, at);
  const std::int64_t within = at - (number > 0 ? job.pieces[number - 1].end : 0);
  const Piece& piece = job.pieces[number];
  return {job.source_start + piece.source + within, job.target_start + piece.target + within, piece.end - at};
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
