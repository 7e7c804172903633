// SPDX-License-Identifier: BSD-3-Clause
/// The GPU that gpu::start() chose, for what is done on it.
#pragma once

#include <string>

#include "benchmarks/common/check.hpp"
#include "benchmarks/gpu/device.hpp"

namespace mpix::bench::gpu {

/// Throws bench::Error before start().
Gpu& device();

/// Errors of the library's own kind as the benchmarks'.
template <typename Body>
auto translated(Body body) {
  try {
    return body();
  } catch (const mpix::Error& error) {
    throw bench::Error(std::string("memory of GPUs: ") + error.what());
  }
}

inline CUdeviceptr address(const std::byte* memory) {
  return reinterpret_cast<CUdeviceptr>(memory);
}

/// Whether the MPI takes memory of GPUs, as far as it tells.
bool cuda_aware();

}  // namespace mpix::bench::gpu
