// SPDX-License-Identifier: BSD-3-Clause
/// One GPU for a benchmark: memory, the library's copy kernel with its lists, and times by events. Everything
/// throws mpix::Error.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "handle/cuda.hpp"
#include "kernels/blocks.hpp"
#include "kernels/device/job.hpp"

namespace mpix::bench {

/// What the benchmark calls beside CudaDriver.
struct MoreCuda {
  decltype(&::cuInit) cuInit = nullptr;
  decltype(&::cuMemGetInfo) cuMemGetInfo = nullptr;
  decltype(&::cuMemcpyHtoD) cuMemcpyHtoD = nullptr;
  decltype(&::cuMemcpyDtoH) cuMemcpyDtoH = nullptr;
  decltype(&::cuMemcpyDtoDAsync) cuMemcpyDtoDAsync = nullptr;
  decltype(&::cuMemcpy2DAsync) cuMemcpy2DAsync = nullptr;
  decltype(&::cuEventElapsedTime) cuEventElapsedTime = nullptr;
  decltype(&::cuEventSynchronize) cuEventSynchronize = nullptr;
};

/// How often and on what condition calls are timed.
struct Timing {
  int iterations = 20;
  int warmups = 1;               ///< untimed rounds before, at least
  double warmup_seconds = 0.05;  ///< that the untimed rounds take, at least
  std::int64_t lead = 0;         ///< bytes of an untimed copy inside the GPU, queued before each begin event
};

class Gpu {
 public:
  /// GPU number `number` of the driver in `library`, counted round and round.
  explicit Gpu(const std::string& library, int number = 0);

  /// Loads the copy kernel; to be called before launch().
  void load();
  std::string name() const;
  /// Bytes of its memory that nobody has.
  std::int64_t free_memory() const;
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

  /// Seconds of each of `calls`, medians of the rounds in which they take turns. While the lead copy runs,
  /// the events and the call are queued, so that the time of queueing them does not count.
  std::vector<double> time(const std::vector<std::function<void()>>& calls, const Timing& timing) const;

 private:
  void check(CUresult result, const char* what) const { cuda_check(*driver_, result, what); }
  /// Seconds from event to event around `call`, behind `before`.
  double time_once(const std::function<void()>& before, const std::function<void()>& call) const;

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

/// A View of `blocks` at the address `buffer`. The lists that it points to go into memory of the GPU, which
/// `lists` owns from then on.
kernels::device::View make_view(const Gpu& gpu, const kernels::Blocks& blocks, std::byte* buffer,
                                std::vector<CudaMemory>& lists);

}  // namespace mpix::bench
