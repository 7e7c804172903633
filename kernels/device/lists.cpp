// SPDX-License-Identifier: BSD-3-Clause
#include "kernels/device/lists.hpp"

#include <algorithm>

namespace mpix::kernels::device {
namespace {

void write_segments(const Blocks& blocks, std::int64_t* ends, std::int64_t* coarse) noexcept {
  std::int64_t position = 0, next = 0;
  for (std::int64_t run = 0; run < blocks.nruns; ++run) {
    position += blocks.lengths[run];
    ends[run] = position;
    for (; next * kCoarse < position; ++next) coarse[next] = run;
  }
  if (next * kCoarse == position)
    coarse[next] = blocks.nruns - 1;  // nothing lies there; a bound for searches
}

}  // namespace

ListSizes list_sizes(const Blocks& blocks) noexcept {
  ListSizes sizes;
  if (blocks.bytes == 0) return sizes;
  if (blocks.form == Form::strided) {
    sizes.dims = blocks.ndims;
    return sizes;
  }
  sizes.offsets = blocks.nruns;
  if (blocks.form != Form::segments) return sizes;
  sizes.ends = blocks.nruns;
  sizes.coarse = 1 + blocks.bytes / kCoarse;
  return sizes;
}

void write_lists(const Blocks& blocks, StridedDim* dims, std::int64_t* offsets, std::int64_t* ends,
                 std::int64_t* coarse) noexcept {
  if (blocks.bytes == 0) return;
  if (blocks.form == Form::strided) {
    for (std::int32_t d = 0; d < blocks.ndims; ++d)
      dims[d] = {make_divisor(blocks.dims[d].count), blocks.dims[d].stride};
    return;
  }
  std::copy_n(blocks.offsets, blocks.nruns, offsets);
  if (blocks.form == Form::segments) write_segments(blocks, ends, coarse);
}

std::uint64_t alignment_of(const Blocks& blocks) noexcept {
  auto joined = static_cast<std::uint64_t>(blocks.offset);
  if (blocks.bytes == 0) return joined;
  if (blocks.form != Form::segments) joined |= static_cast<std::uint64_t>(blocks.run);
  if (blocks.form == Form::strided) {
    for (std::int32_t d = 0; d < blocks.ndims; ++d)
      joined |= static_cast<std::uint64_t>(blocks.dims[d].stride);
    return joined;
  }
  for (std::int64_t run = 0; run < blocks.nruns; ++run) {
    joined |= static_cast<std::uint64_t>(blocks.offsets[run]);
    if (blocks.form == Form::segments) joined |= static_cast<std::uint64_t>(blocks.lengths[run]);
  }
  return joined;
}

std::uint32_t width_of(std::uint64_t alignment) noexcept {
  const std::uint64_t bounded = alignment | 16;
  return static_cast<std::uint32_t>(bounded & (~bounded + 1));
}

}  // namespace mpix::kernels::device
