// SPDX-License-Identifier: BSD-3-Clause
#include "kernels/device/copy.hpp"
#include "kernels/device/offsets.hpp"

extern "C" __global__ void __launch_bounds__(mpix::kernels::device::kThreads,
                                             mpix::kernels::device::kBlocksAtOnce)
    mpix_layout_copy(const __grid_constant__ mpix::kernels::device::Batch batch) {
  mpix::kernels::device::run_thread(batch, blockIdx.x, static_cast<int>(threadIdx.x));
}

extern "C" __global__ void __launch_bounds__(mpix::kernels::device::kThreads)
    mpix_layout_offsets(const __grid_constant__ mpix::kernels::device::OffsetsTask task) {
  mpix::kernels::device::run_offsets_thread(task, blockIdx.x, gridDim.x, static_cast<int>(threadIdx.x));
}
