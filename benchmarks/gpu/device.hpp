// SPDX-License-Identifier: BSD-3-Clause
/// One GPU for a benchmark: memory, the library's copy kernel, and times by events. Everything throws
/// mpix::Error.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "handle/cuda.hpp"
#include "kernels/device/job.hpp"

namespace mpix::bench {

/// What the benchmark calls beside CudaDriver.
struct MoreCuda {
  decltype(&::cuInit) cuInit = nullptr;
  decltype(&::cuMemcpyHtoD) cuMemcpyHtoD = nullptr;
  decltype(&::cuMemcpyDtoH) cuMemcpyDtoH = nullptr;
  decltype(&::cuMemcpyDtoDAsync) cuMemcpyDtoDAsync = nullptr;
  decltype(&::cuMemcpy2DAsync) cuMemcpy2DAsync = nullptr;
  decltype(&::cuEventElapsedTime) cuEventElapsedTime = nullptr;
  decltype(&::cuEventSynchronize) cuEventSynchronize = nullptr;
};

class Gpu {
 public:
  /// GPU number `number` of the driver in `library`, counted round and round.
  explicit Gpu(const std::string& library, int number = 0);

  /// Loads the copy kernel; to be called before launch().
  void load();
  std::string name() const;
  CudaMemory allocate(std::int64_t bytes) const;
  std::byte* allocate_raw(std::int64_t bytes) const;
  void free_raw(std::byte* memory) const noexcept;
  CudaPinned allocate_pinned(std::int64_t bytes) const;
  CUipcMemHandle export_memory(CUdeviceptr memory) const;
  CudaMapping import_memory(const CUipcMemHandle& handle) const;
  void upload(CUdeviceptr to, const void* from, std::int64_t bytes) const;
  void download(void* to, CUdeviceptr from, std::int64_t bytes) const;

  // In the benchmark's stream:
  void launch(const kernels::device::Batch& batch, std::int64_t tiles) const;
  void copy(CUdeviceptr to, CUdeviceptr from, std::int64_t bytes) const;
  void copy_2d(const CUDA_MEMCPY2D& what) const;
  void upload_async(CUdeviceptr to, const void* from, std::int64_t bytes) const;
  void download_async(void* to, CUdeviceptr from, std::int64_t bytes) const;
  void synchronize() const { check(driver_->cuStreamSynchronize(stream_.get()), "cuStreamSynchronize"); }

  /// Seconds of each of `calls`, medians of `iterations` in which they take turns, after `warmups`.
  std::vector<double> time(const std::vector<std::function<void()>>& calls, int warmups,
                           int iterations) const;

 private:
  void check(CUresult result, const char* what) const { cuda_check(*driver_, result, what); }

  std::shared_ptr<const CudaDriver> driver_;
  MoreCuda more_;
  CUdevice device_ = 0;
  CudaContextPointer context_;
  std::unique_ptr<CudaScope> current_;
  CudaStream stream_;
  CudaModule module_;
  CUfunction kernel_ = nullptr;
  CUevent begin_ = nullptr, end_ = nullptr;
};

}  // namespace mpix::bench
