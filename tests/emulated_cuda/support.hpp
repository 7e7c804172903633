// SPDX-License-Identifier: BSD-3-Clause
/// Tests of the emulated driver, each in a process of its own that loads and initialises it.
#pragma once

#include <cuda.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/processes.hpp"

namespace emulated::test {

// clang-format off
#define EMULATED_FUNCTIONS(DO) \
  DO(cuInit) DO(cuGetProcAddress) DO(cuDeviceGet) DO(cuDeviceGetCount) DO(cuDeviceCanAccessPeer) \
  DO(cuDevicePrimaryCtxRetain) DO(cuDevicePrimaryCtxRelease) DO(cuDevicePrimaryCtxGetState) \
  DO(cuCtxCreate) DO(cuCtxDestroy) DO(cuCtxSetCurrent) DO(cuCtxGetCurrent) DO(cuCtxGetId) DO(cuCtxSynchronize) \
  DO(cuCtxEnablePeerAccess) DO(cuMemAlloc) DO(cuMemFree) DO(cuMemAllocAsync) DO(cuMemFreeAsync) DO(cuMemAllocManaged) \
  DO(cuMemHostAlloc) DO(cuMemHostRegister) DO(cuMemHostUnregister) DO(cuMemHostGetDevicePointer) \
  DO(cuMemGetAddressRange) DO(cuPointerGetAttribute) DO(cuPointerGetAttributes) DO(cuMemcpyHtoD) DO(cuMemcpyDtoH) \
  DO(cuMemcpyHtoDAsync) DO(cuMemcpyDtoHAsync) DO(cuMemcpyDtoDAsync) DO(cuMemcpy2DAsync) DO(cuMemsetD8Async) \
  DO(cuStreamCreate) DO(cuStreamDestroy) DO(cuStreamQuery) DO(cuStreamSynchronize) DO(cuStreamWaitEvent) \
  DO(cuStreamWaitValue32) DO(cuStreamWaitValue64) DO(cuStreamWriteValue32) DO(cuStreamWriteValue64) DO(cuLaunchHostFunc) \
  DO(cuEventCreate) DO(cuEventDestroy) DO(cuEventRecord) DO(cuEventQuery) DO(cuEventSynchronize) DO(cuEventElapsedTime) \
  DO(cuModuleLoadData) DO(cuModuleUnload) DO(cuModuleGetFunction) DO(cuLaunchKernel) \
  DO(cuIpcGetMemHandle) DO(cuIpcOpenMemHandle) DO(cuIpcCloseMemHandle)
// clang-format on

/// The driver's functions, under the names that cuda.h gives them.
struct Api {
#define EMULATED_MEMBER(name) decltype(&::name) name = nullptr;
  EMULATED_FUNCTIONS(EMULATED_MEMBER)
#undef EMULATED_MEMBER
  std::uint64_t (*calls)(const char*) = nullptr;

  Api() {
    const char* const top = std::getenv("top_builddir");
    const std::string path =
        std::string(top == nullptr ? "." : top) + "/tests/emulated_cuda/.libs/libcuda_emulated.so";
    void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw std::runtime_error(::dlerror());
#define EMULATED_QUOTE(name) #name
#define EMULATED_STRING(name) EMULATED_QUOTE(name)
#define EMULATED_RESOLVE(name) resolve(library, EMULATED_STRING(name), name);
    EMULATED_FUNCTIONS(EMULATED_RESOLVE)
#undef EMULATED_RESOLVE
#undef EMULATED_STRING
#undef EMULATED_QUOTE
    resolve(library, "emulatedCudaCalls", calls);
  }

 private:
  template <typename Function>
  static void resolve(void* library, const char* name, Function& function) {
    function = reinterpret_cast<Function>(::dlsym(library, name));
    if (function == nullptr) throw std::runtime_error(std::string("there is no ") + name);
  }
};

inline void must(CUresult result) {
  if (result != CUDA_SUCCESS) throw std::runtime_error("CUDA error " + std::to_string(result));
}

/// The driver, with a context of its GPU 0 that is current.
struct Gpu : Api {
  CUcontext context = nullptr;

  Gpu() {
    must(cuInit(0));
    context = primary(0);
  }
  /// Made current.
  CUcontext primary(int ordinal) const {
    CUdevice device = 0;
    CUcontext made = nullptr;
    must(cuDeviceGet(&device, ordinal));
    must(cuDevicePrimaryCtxRetain(&made, device));
    must(cuCtxSetCurrent(made));
    return made;
  }
  CUdeviceptr allocate(std::size_t bytes) const {
    CUdeviceptr made = 0;
    must(cuMemAlloc(&made, bytes));
    return made;
  }
  template <typename T>
  CUdeviceptr upload(const std::vector<T>& from) const {
    const CUdeviceptr made = allocate(from.size() * sizeof(T));
    write(made, from);
    return made;
  }
  template <typename T>
  void write(CUdeviceptr to, const std::vector<T>& from) const {
    must(cuMemcpyHtoD(to, from.data(), from.size() * sizeof(T)));
    must(cuStreamSynchronize(nullptr));
  }
  std::vector<std::uint8_t> read(CUdeviceptr from, std::size_t bytes) const {
    std::vector<std::uint8_t> to(bytes);
    must(cuMemcpyDtoH(to.data(), from, bytes));
    return to;
  }
  /// Host memory that GPUs use.
  template <typename T>
  T* pinned(std::size_t count) const {
    void* made = nullptr;
    must(cuMemHostAlloc(&made, count * sizeof(T), CU_MEMHOSTALLOC_PORTABLE));
    return static_cast<T*>(made);
  }
  CUstream stream(unsigned flags = CU_STREAM_NON_BLOCKING) const {
    CUstream made = nullptr;
    must(cuStreamCreate(&made, flags));
    return made;
  }
  CUevent event(unsigned flags = CU_EVENT_DISABLE_TIMING) const {
    CUevent made = nullptr;
    must(cuEventCreate(&made, flags));
    return made;
  }
  unsigned long long buffer_of(CUdeviceptr address) const {
    unsigned long long buffer = 0;
    must(cuPointerGetAttribute(&buffer, CU_POINTER_ATTRIBUTE_BUFFER_ID, address));
    return buffer;
  }
};

inline CUdeviceptr device_pointer(const void* memory) {
  return reinterpret_cast<CUdeviceptr>(memory);
}

/// Content that differs with `first`.
inline std::vector<std::uint8_t> sequence(std::size_t count, std::size_t first = 0) {
  std::vector<std::uint8_t> made(count);
  for (std::size_t i = 0; i < count; ++i) made[i] = static_cast<std::uint8_t>(i * 7 + i / 256 + first);
  return made;
}

inline void set(const char* name, const char* value) {
  ASSERT_EQ(::setenv(name, value, 1), 0);
}

using mpix::test::alone;
using mpix::test::end_of;
using mpix::test::start_process;

}  // namespace emulated::test
