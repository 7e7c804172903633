// SPDX-License-Identifier: BSD-3-Clause
/// The compiled CUDA kernel as a fat binary, for cuModuleLoadData. Only in builds with CUDA.
#pragma once

namespace mpix::kernels::device {

const void* kernel_image() noexcept;

}  // namespace mpix::kernels::device
