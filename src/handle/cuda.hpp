// SPDX-License-Identifier: BSD-3-Clause
/// The CUDA driver, found at run time, and move-only owners of what it hands out. Nothing here initialises
/// it.
#pragma once

#include <cuda.h>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "base/status.hpp"

namespace mpix {

// Members and symbols take the names that cuda.h's macros give: cuMemAlloc stands for cuMemAlloc_v2.
// clang-format off
#define MPIX_CUDA_NEEDED(DO) \
  DO(cuGetErrorName) DO(cuGetErrorString) DO(cuDriverGetVersion) \
  DO(cuDeviceGetCount) DO(cuDeviceGet) DO(cuDeviceGetName) DO(cuDeviceGetAttribute) \
  DO(cuDevicePrimaryCtxRetain) DO(cuDevicePrimaryCtxRelease) DO(cuDevicePrimaryCtxGetState) \
  DO(cuCtxPushCurrent) DO(cuCtxPopCurrent) DO(cuCtxGetCurrent) DO(cuCtxGetDevice) \
  DO(cuModuleLoadData) DO(cuModuleUnload) DO(cuModuleGetFunction) DO(cuLaunchKernel) \
  DO(cuMemAlloc) DO(cuMemFree) DO(cuMemHostAlloc) DO(cuMemFreeHost) \
  DO(cuMemcpyAsync) DO(cuMemcpyHtoDAsync) DO(cuMemcpyDtoHAsync) \
  DO(cuMemHostRegister) DO(cuMemHostUnregister) DO(cuMemHostGetDevicePointer) \
  DO(cuMemGetAddressRange) DO(cuPointerGetAttributes) \
  DO(cuStreamCreate) DO(cuStreamDestroy) DO(cuStreamSynchronize) \
  DO(cuEventCreate) DO(cuEventDestroy) DO(cuEventRecord) DO(cuEventQuery) \
  DO(cuIpcGetMemHandle) DO(cuIpcOpenMemHandle) DO(cuIpcCloseMemHandle)
// Not in every driver, or not of every device.
#define MPIX_CUDA_OPTIONAL(DO) \
  DO(cuCtxGetId) DO(cuCtxGetStreamPriorityRange) DO(cuStreamCreateWithPriority) DO(cuStreamGetCtx) \
  DO(cuStreamWaitValue32) DO(cuLaunchHostFunc) DO(cuFuncLoad) \
  DO(cuStreamIsCapturing) DO(cuThreadExchangeStreamCaptureMode)
// clang-format on

/// The driver's functions; the optional ones may be null.
struct CudaDriver {
  /// Loads the driver's library, which stays loaded. Throws Error (internal) with the reason.
  static std::shared_ptr<const CudaDriver> load(const std::string& library);

#define MPIX_CUDA_MEMBER(name) decltype(&::name) name = nullptr;
  MPIX_CUDA_NEEDED(MPIX_CUDA_MEMBER)
  MPIX_CUDA_OPTIONAL(MPIX_CUDA_MEMBER)
#undef MPIX_CUDA_MEMBER
};

/// A Status that says that `what` failed and why; ok for CUDA_SUCCESS.
Status cuda_status(const CudaDriver& driver, CUresult result, const char* what) noexcept;
/// Throws Error of cuda_status.
void cuda_check(const CudaDriver& driver, CUresult result, const char* what);

/// A context of the application, or the primary one of a device that this keeps in being.
class CudaContext {
 public:
  CudaContext(std::shared_ptr<const CudaDriver> driver, CUcontext handle, int ordinal) noexcept
      : driver_(std::move(driver)),
        handle_(handle),
        id_(id_of(*driver_, handle)),
        number_(next_number()),
        ordinal_(ordinal) {}
  /// The primary context, created where there is none. Throws Error.
  static std::shared_ptr<const CudaContext> primary(std::shared_ptr<const CudaDriver> driver, int ordinal);
  CudaContext(const CudaContext&) = delete;
  CudaContext& operator=(const CudaContext&) = delete;
  ~CudaContext();

  const CudaDriver& driver() const noexcept { return *driver_; }
  CUcontext get() const noexcept { return handle_; }
  int ordinal() const noexcept { return ordinal_; }
  /// Above 0, and of no other object.
  std::uint64_t number() const noexcept { return number_; }
  /// Whether the handle still stands for the context that it did, as far as the driver tells.
  bool alive() const noexcept { return id_of(*driver_, handle_) == id_; }

 private:
  static std::uint64_t next_number() noexcept;
  static unsigned long long id_of(const CudaDriver& driver, CUcontext handle) noexcept;
  std::shared_ptr<const CudaDriver> driver_;
  CUcontext handle_;
  unsigned long long id_;
  std::uint64_t number_;
  int ordinal_;
  bool retained_ = false;
};

/// Makes a context current as long as this lives, and then the one that was before. What is called meanwhile
/// disturbs no capture of the application, nor does a capture forbid it.
class CudaScope {
 public:
  CudaScope(const CudaDriver& driver, CUcontext context) noexcept;
  explicit CudaScope(const CudaContext& context) noexcept : CudaScope(context.driver(), context.get()) {}
  CudaScope(const CudaScope&) = delete;
  CudaScope& operator=(const CudaScope&) = delete;
  ~CudaScope();

  /// Of making it current: not CUDA_SUCCESS where the context has been destroyed.
  CUresult result() const noexcept { return result_; }

 private:
  void exchange_mode() noexcept;

  const CudaDriver& driver_;
  CUresult result_;
  CUstreamCaptureMode mode_ = CU_STREAM_CAPTURE_MODE_RELAXED;  // the thread's outside
};

/// For destructors: says at debug level that `what` failed. The application may have destroyed the context,
/// or the process may be ending, and neither is an error of the library.
void cuda_log(const CudaDriver& driver, CUresult result, const char* what) noexcept;

/// Owns what belongs to a context, and gives it to the driver's function `release` in the end.
template <typename Handle, CUresult (*CudaDriver::*release)(Handle)>
class CudaOwner {
 public:
  CudaOwner() noexcept = default;
  CudaOwner(std::shared_ptr<const CudaContext> context, Handle handle) noexcept
      : context_(std::move(context)), handle_(handle) {}
  CudaOwner(CudaOwner&& other) noexcept
      : context_(std::move(other.context_)), handle_(std::exchange(other.handle_, Handle{})) {}
  CudaOwner& operator=(CudaOwner&& other) noexcept {
    std::swap(context_, other.context_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~CudaOwner() {
    if (handle_ == Handle{} || !context_->alive()) return;
    const CudaScope scope(*context_);
    const bool current = scope.result() == CUDA_SUCCESS;
    cuda_log(context_->driver(), current ? (context_->driver().*release)(handle_) : scope.result(),
             "releasing a CUDA object");
  }

  Handle get() const noexcept { return handle_; }
  const std::shared_ptr<const CudaContext>& context() const noexcept { return context_; }

 private:
  std::shared_ptr<const CudaContext> context_;
  Handle handle_{};
};

using CudaStream = CudaOwner<CUstream, &CudaDriver::cuStreamDestroy>;
using CudaEvent = CudaOwner<CUevent, &CudaDriver::cuEventDestroy>;
using CudaModule = CudaOwner<CUmodule, &CudaDriver::cuModuleUnload>;
using CudaMemory = CudaOwner<CUdeviceptr, &CudaDriver::cuMemFree>;
using CudaPinned = CudaOwner<void*, &CudaDriver::cuMemFreeHost>;
using CudaRegistered = CudaOwner<void*, &CudaDriver::cuMemHostUnregister>;
using CudaMapping = CudaOwner<CUdeviceptr, &CudaDriver::cuIpcCloseMemHandle>;

using CudaContextPointer = std::shared_ptr<const CudaContext>;

// These throw Error (internal, no_memory).

/// A stream that does not wait for the default one, of the highest priority: the driver then keeps it apart
/// from streams of the application, which may be waiting for this library.
CudaStream create_cuda_stream(const CudaContextPointer& context);
/// An event without times.
CudaEvent create_cuda_event(const CudaContextPointer& context);
CudaModule load_cuda_module(const CudaContextPointer& context, const void* image);
CudaMemory allocate_cuda_memory(const CudaContextPointer& context, std::size_t bytes);
/// Host memory that all contexts can use at the address at which the host does.
CudaPinned allocate_cuda_pinned(const CudaContextPointer& context, std::size_t bytes);

}  // namespace mpix
