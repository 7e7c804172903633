// SPDX-License-Identifier: BSD-3-Clause
/// One side of a tile whose runs have one length. What is the same for all of its words is worked out once,
/// and what remains is arithmetic of 32 bits, because a tile is small.
#pragma once

#include "kernels/device/locate.hpp"

namespace mpix::kernels::device {

/// Byte `at` of the tile lies in run number (at + lead) / run of the tile, and its address is
/// first + at + number * step, to which listed blocks add the run's offset. Runs longer than a tile are as
/// if they were cut to the last kTileBytes bytes before they end: then there are no more than two.
struct Rows {
  std::byte* first;             ///< where the tile begins; of listed blocks, if its first run had offset 0
  const std::int64_t* offsets;  ///< of the tile's runs; null where they are a stride apart
  std::int64_t step;            ///< from the end of a run to the next run's begin, without the offsets
  std::uint32_t twice_lead;     ///< twice the bytes of the first run that come before the tile
  std::uint32_t magic;          ///< Divisor::tile_magic of the run; 0 where the tile lies in one run
};

/// `twice` / 2 / run for twice / 2 < 2 * kTileBytes. Exact because number * (magic * run - 2^31) < 2^31.
MPIX_DEVICE_INLINE std::uint32_t divide_in_tile(std::uint32_t twice, std::uint32_t magic) {
  return multiply_high(twice, magic);
}
static_assert(2 * kTileBytes * kTileBytes <= std::int64_t{1} << 31);

MPIX_DEVICE_INLINE std::int64_t read_offset(const std::int64_t* offset) {
#ifdef __CUDA_ARCH__
  return __ldg(offset);
#else
  return *offset;
#endif
}

/// Addresses of bytes of the tile.
template <int kCount>
MPIX_DEVICE_INLINE void addresses_in(const Rows& rows, const std::uint32_t (&at)[kCount],
                                     std::byte* (&addresses)[kCount]) {
  std::int64_t offsets[kCount];
  MPIX_DEVICE_UNROLL
  for (int i = 0; i < kCount; ++i) {
    const std::uint32_t number = divide_in_tile(2 * at[i] + rows.twice_lead, rows.magic);
    addresses[i] = rows.first + (at[i] + number * rows.step);
    offsets[i] = number;
  }
  if (rows.offsets == nullptr) return;
  MPIX_DEVICE_UNROLL
  for (int i = 0; i < kCount; ++i) offsets[i] = read_offset(rows.offsets + offsets[i]);
  MPIX_DEVICE_UNROLL
  for (int i = 0; i < kCount; ++i) addresses[i] += offsets[i];
}

/// Run number `run` of strided blocks: its offset, and whether the `after` runs that follow are all one
/// stride of the innermost dimension apart.
MPIX_DEVICE_INLINE bool strided_rows(const View& view, std::uint64_t run, std::uint32_t after,
                                     std::int64_t& offset) {
  if (view.ndims <= 1) {
    offset = strided_offset(view, view.ndims, run);
    return true;
  }
  const StridedDim& inner = view.dims[view.ndims - 1];
  const std::uint64_t rest = divide(run, inner.count);
  const std::uint64_t index = run - rest * inner.count.divisor;
  offset = strided_offset(view, view.ndims - 1, rest) + static_cast<std::int64_t>(index) * inner.stride;
  return index + after < inner.count.divisor;
}

/// The `bytes` <= kTileBytes bytes from `position` on, which must exist, of runs of one length. False, and
/// `rows` means nothing, where they are neither one run nor runs that are listed or a stride apart. Offsets
/// of a list are left to the words, which read theirs at the same time.
MPIX_DEVICE_INLINE bool find_rows_of_runs(const View& view, std::int64_t position, std::int32_t bytes,
                                          Rows& rows) {
  const auto length = static_cast<std::int64_t>(view.run.divisor);
  const std::uint64_t run = divide(static_cast<std::uint64_t>(position), view.run);
  const std::int64_t within = position - static_cast<std::int64_t>(run) * length;
  const bool one = length - within >= bytes;
  const auto lead = static_cast<std::uint32_t>(length <= kTileBytes ? within : within - length + kTileBytes);
  rows = {view.base + within, nullptr, 0, 0, 0};
  if (!one) {
    rows.step = -length;
    rows.twice_lead = 2 * lead;
    rows.magic = view.run.tile_magic;
  }
  if (view.form == Form::indexed) {
    rows.offsets = view.offsets + run;
    if (!one) return true;
    rows.first += read_offset(rows.offsets);
    rows.offsets = nullptr;
    return true;
  }
  const std::uint32_t last = rows.twice_lead + 2 * static_cast<std::uint32_t>(bytes - 1);
  std::int64_t offset;
  const bool found = strided_rows(view, run, divide_in_tile(last, rows.magic), offset);
  rows.first += offset;
  if (!one) rows.step += view.dims[view.ndims - 1].stride;
  return found;
}

/// The same for runs with lengths of their own, which make rows only where the tile lies in one. That is not
/// searched for: where the coarse list names an earlier run, the tile is left to the words.
MPIX_DEVICE_INLINE bool find_segment(const View& view, std::int64_t position, std::int32_t bytes,
                                     Rows& rows) {
  const std::int64_t run = view.coarse[coarse_entry(position)];
  if (view.ends[run] < position + bytes) return false;
  const std::int64_t begin = run > 0 ? view.ends[run - 1] : 0;
  rows = {view.base + (view.offsets[run] + (position - begin)), nullptr, 0, 0, 0};
  return true;
}

/// As above, for any blocks.
MPIX_DEVICE_INLINE bool find_rows(const View& view, std::int64_t position, std::int32_t bytes, Rows& rows) {
  if (view.form == Form::segments) return find_segment(view, position, bytes, rows);
  if (!is_one_run(view)) return find_rows_of_runs(view, position, bytes, rows);
  rows = {view.base + position, nullptr, 0, 0, 0};
  return true;
}

}  // namespace mpix::kernels::device
