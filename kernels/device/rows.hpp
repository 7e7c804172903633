// SPDX-License-Identifier: BSD-3-Clause
/// One side of a tile whose runs have one length. What is the same for all of its words is worked out once,
/// and what remains is arithmetic of 32 bits, because a tile is small.
#pragma once

#include "kernels/device/locate.hpp"

namespace mpix::kernels::device {

struct Rows {
  std::byte* first;             ///< where the tile begins
  std::byte* next;              ///< its second run; of indexed blocks the View's base
  const std::int64_t* offsets;  ///< of the second run and those after it from `next` on; null for a stride
  std::int64_t stride;          ///< from the second run to the third, and so on
  std::int32_t rest;            ///< bytes of the tile in its first run; all of them where there is no other
  std::uint32_t run;            ///< length of the other runs, at most kTileBytes
  std::uint32_t magic;          ///< ceil(2^31 / run)
};

/// `number` / `run` for number < kTileBytes. Exact because number * (magic * run - 2^31) < 2^28.
MPIX_DEVICE_INLINE std::uint32_t divide_in_tile(std::uint32_t number, std::uint32_t magic) {
  return static_cast<std::uint32_t>((static_cast<std::uint64_t>(number) * magic) >> 31);
}
static_assert(kTileBytes <= 1 << 14);

MPIX_DEVICE_INLINE std::int64_t read_offset(const std::int64_t* offset) {
#ifdef __CUDA_ARCH__
  return __ldg(offset);
#else
  return *offset;
#endif
}

/// The address of byte `at` of the tile.
MPIX_DEVICE_INLINE std::byte* address_in(const Rows& rows, std::int32_t at) {
  if (at < rows.rest) return rows.first + at;
  const auto after = static_cast<std::uint32_t>(at - rows.rest);
  const std::uint32_t number = divide_in_tile(after, rows.magic);
  const std::uint32_t within = after - number * rows.run;
  const std::int64_t offset =
      rows.offsets != nullptr ? read_offset(rows.offsets + number) : number * rows.stride;
  return rows.next + offset + within;
}

/// Whether the `after` runs that follow run number `run` are all one stride apart.
MPIX_DEVICE_INLINE bool same_stride(const View& view, std::uint64_t run, std::uint32_t after) {
  if (view.ndims <= 1) return true;
  const Divisor& count = view.dims[view.ndims - 1].count;
  return run - divide(run, count) * count.divisor + after < count.divisor;
}

/// The `bytes` <= kTileBytes bytes from `position` on, which must exist. False, and `rows` means nothing,
/// where they are neither one run nor runs of one length that are listed or a stride apart.
MPIX_DEVICE_INLINE bool find_rows(const View& view, std::int64_t position, std::int32_t bytes, Rows& rows) {
  const Place place = locate(view, position);
  rows = {place.address, place.address, nullptr, 0, bytes, 1, 0};
  if (place.rest >= bytes) return true;
  if (view.form == Form::segments) return false;
  const auto length = static_cast<std::int64_t>(view.run.divisor);
  const std::uint64_t run = divide(static_cast<std::uint64_t>(position), view.run);
  rows.rest = static_cast<std::int32_t>(place.rest);
  rows.run = static_cast<std::uint32_t>(length < kTileBytes ? length : kTileBytes);
  rows.magic = 0x7fffffffu / rows.run + 1;
  if (view.form == Form::indexed) {
    rows.next = view.base;
    rows.offsets = view.offsets + run + 1;
    return true;
  }
  rows.stride = view.dims[view.ndims - 1].stride;
  rows.next = place.address + (place.rest - length) + rows.stride;
  const auto last = static_cast<std::uint32_t>(bytes - 1 - rows.rest);
  return same_stride(view, run, divide_in_tile(last, rows.magic) + 1);
}

}  // namespace mpix::kernels::device
