// SPDX-License-Identifier: BSD-3-Clause
/// Where blocks lie.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "kernels/blocks.hpp"

namespace mpix::layout {

/// Bytes [low, high).
struct Interval {
  std::int64_t low, high;
};

/// Smallest interval with all of `blocks`, which are not empty.
inline Interval bounds(const kernels::Blocks& blocks) noexcept {
  Interval found{blocks.offset, blocks.offset + blocks.run};
  if (blocks.form == kernels::Form::strided) {
    for (const kernels::Dim& dim : std::span(blocks.dims, static_cast<std::size_t>(blocks.ndims)))
      (dim.stride < 0 ? found.low : found.high) += (dim.count - 1) * dim.stride;
    return found;
  }
  std::int64_t low = blocks.offsets[0], high = blocks.offsets[0];
  if (blocks.form == kernels::Form::indexed) {
    for (std::int64_t i = 1; i < blocks.nruns; ++i) {
      low = std::min(low, blocks.offsets[i]);
      high = std::max(high, blocks.offsets[i]);
    }
    return {blocks.offset + low, blocks.offset + high + blocks.run};
  }
  high += blocks.lengths[0];
  for (std::int64_t i = 1; i < blocks.nruns; ++i) {
    low = std::min(low, blocks.offsets[i]);
    high = std::max(high, blocks.offsets[i] + blocks.lengths[i]);
  }
  return {blocks.offset + low, blocks.offset + high};
}

}  // namespace mpix::layout
