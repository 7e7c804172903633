// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "kernels/device/job.hpp"
#include "kernels/device/offsets.hpp"

namespace emulated {

// Kernels with `grid` blocks, as operations of a stream.
void run_copy(const mpix::kernels::device::Batch& batch, std::int64_t grid);
void run_offsets(mpix::kernels::device::OffsetsTask task, std::int64_t grid);

}  // namespace emulated
