// SPDX-License-Identifier: BSD-3-Clause
/// From Blocks to what a View needs of them, on the host.
#pragma once

#include <cstdint>

#include "kernels/device/locate.hpp"

namespace mpix::kernels::device {

/// Entries of the lists of some Blocks; 0 where the form has none.
struct ListSizes {
  std::int64_t dims = 0, offsets = 0, ends = 0, coarse = 0;
};
ListSizes list_sizes(const Blocks& blocks) noexcept;

/// Writes the lists, each with as many entries as list_sizes says.
void write_lists(const Blocks& blocks, StridedDim* dims, std::int64_t* offsets, std::int64_t* ends,
                 std::int64_t* coarse) noexcept;

/// Offsets, lengths and strides of all runs, joined by `or`: what divides this divides all of them.
std::uint64_t alignment_of(const Blocks& blocks) noexcept;

/// The largest Job::width that divides everything that was joined in `alignment`.
std::uint32_t width_of(std::uint64_t alignment) noexcept;

/// Blocks of threads that a job takes.
constexpr std::int64_t tiles_of(const Job& job) noexcept {
  return (job.bytes + kTileBytes - 1) / kTileBytes;
}

}  // namespace mpix::kernels::device
