// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "kernels/device/job.hpp"

namespace emulated {

/// The copy kernel with `grid` blocks, as an operation of a stream.
void run_kernel(const mpix::kernels::device::Batch& batch, std::int64_t grid);

}  // namespace emulated
