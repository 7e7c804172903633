// SPDX-License-Identifier: BSD-3-Clause
#include "kernels/device/copy.hpp"

extern "C" __global__ void __launch_bounds__(mpix::kernels::device::kThreads,
                                             mpix::kernels::device::kBlocksAtOnce)
    mpix_layout_copy(const __grid_constant__ mpix::kernels::device::Batch batch) {
  mpix::kernels::device::run_thread(batch, blockIdx.x, static_cast<int>(threadIdx.x));
}
