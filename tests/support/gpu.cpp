// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/gpu.hpp"

#include <dlfcn.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "config.h"

#ifdef HAVE_CUDA
#include <cuda.h>
#endif

namespace mpix::test::gpu {

#ifdef HAVE_CUDA
namespace {

// clang-format off
#define MPIX_TEST_CUDA(DO) \
  DO(cuInit) DO(cuDeviceGet) DO(cuDeviceGetCount) DO(cuDevicePrimaryCtxRetain) DO(cuCtxSetCurrent) DO(cuCtxGetCurrent) \
  DO(cuMemAlloc) DO(cuMemFree) DO(cuMemAllocManaged) DO(cuMemHostAlloc) DO(cuMemFreeHost) \
  DO(cuCtxCreate) DO(cuCtxDestroy) DO(cuPointerGetAttribute) DO(cuMemAllocAsync) DO(cuMemFreeAsync) DO(cuMemcpy) DO(cuMemcpyAsync) \
  DO(cuStreamCreate) DO(cuStreamDestroy) DO(cuStreamQuery) DO(cuStreamSynchronize)
// clang-format on
#define MPIX_TEST_NAME_OF(name) #name
#define MPIX_TEST_NAME(name) MPIX_TEST_NAME_OF(name)

void must(CUresult result, const char* what) {
  if (result != CUDA_SUCCESS)
    throw std::runtime_error(std::string(what) + ": CUDA error " + std::to_string(result));
}

const char* driver_name() {
  const char* const named = std::getenv("MPIX_LAYOUT_CUDA_DRIVER");
  return named != nullptr && *named != '\0' ? named : "libcuda.so.1";
}

struct Driver {
#define MPIX_TEST_MEMBER(name) decltype(&::name) name = nullptr;
  MPIX_TEST_CUDA(MPIX_TEST_MEMBER)
#undef MPIX_TEST_MEMBER
  std::uint64_t (*calls)(const char*) = nullptr;
  CUcontext context = nullptr;

  Driver() {
    void* const library = ::dlopen(driver_name(), RTLD_NOW);
    if (library == nullptr) throw std::runtime_error(::dlerror());
#define MPIX_TEST_RESOLVE(name) \
  name = reinterpret_cast<decltype(name)>(::dlsym(library, MPIX_TEST_NAME(name)));
    MPIX_TEST_CUDA(MPIX_TEST_RESOLVE)
#undef MPIX_TEST_RESOLVE
    calls = reinterpret_cast<decltype(calls)>(::dlsym(library, "emulatedCudaCalls"));
    must(cuInit(0), "cuInit");
    CUdevice device = 0;
    must(cuDeviceGet(&device, 0), "cuDeviceGet");
    must(cuDevicePrimaryCtxRetain(&context, device), "cuDevicePrimaryCtxRetain");
  }
};

/// With its context current in the calling thread.
const Driver& driver() {
  static const Driver loaded;
  must(loaded.cuCtxSetCurrent(loaded.context), "cuCtxSetCurrent");
  return loaded;
}

CUcontext other_context = nullptr;

/// The same with the other context.
const Driver& driver_elsewhere() {
  const Driver& cuda = driver();
  if (other_context == nullptr)
    must(cuda.cuCtxCreate(&other_context, nullptr, 0, 0), "cuCtxCreate");  // current from now on
  must(cuda.cuCtxSetCurrent(other_context), "cuCtxSetCurrent");
  return cuda;
}

/// The same with the context that memory belongs to, if it belongs to one.
const Driver& driver_of(const void* memory) {
  const Driver& cuda = driver();
  CUcontext context = nullptr;
  const CUresult known = cuda.cuPointerGetAttribute(&context, CU_POINTER_ATTRIBUTE_CONTEXT,
                                                    reinterpret_cast<CUdeviceptr>(memory));
  if (known == CUDA_SUCCESS && context != nullptr) must(cuda.cuCtxSetCurrent(context), "cuCtxSetCurrent");
  return cuda;
}

CUdeviceptr address(const void* memory) {
  return reinterpret_cast<CUdeviceptr>(memory);
}

}  // namespace

int share() {
  const char* const value = std::getenv("MPIX_TEST_GPU");
  return value != nullptr ? std::atoi(value) : 0;
}

bool emulated() {
  return driver().calls != nullptr;
}

void* allocate(Memory kind, std::size_t bytes) {
  const Driver& cuda = driver();
  CUdeviceptr made = 0;
  void* host = nullptr;
  switch (kind) {
    case Memory::device:
      must(cuda.cuMemAlloc(&made, bytes), "cuMemAlloc");
      break;
    case Memory::managed:
      must(cuda.cuMemAllocManaged(&made, bytes, CU_MEM_ATTACH_GLOBAL), "cuMemAllocManaged");
      break;
    case Memory::pooled:
      must(cuda.cuMemAllocAsync(&made, bytes, nullptr), "cuMemAllocAsync");
      must(cuda.cuStreamSynchronize(nullptr), "cuStreamSynchronize");
      break;
    case Memory::elsewhere:
      must(driver_elsewhere().cuMemAlloc(&made, bytes), "cuMemAlloc");
      must(cuda.cuCtxSetCurrent(cuda.context), "cuCtxSetCurrent");
      break;
    case Memory::pinned:
      must(cuda.cuMemHostAlloc(&host, bytes, CU_MEMHOSTALLOC_PORTABLE), "cuMemHostAlloc");
      return host;
  }
  return reinterpret_cast<void*>(made);
}

void release(Memory kind, void* memory) {
  const Driver& cuda = driver();
  if (kind == Memory::pinned) {
    must(cuda.cuMemFreeHost(memory), "cuMemFreeHost");
  } else if (kind == Memory::pooled) {
    must(cuda.cuMemFreeAsync(address(memory), nullptr), "cuMemFreeAsync");
    must(cuda.cuStreamSynchronize(nullptr), "cuStreamSynchronize");
  } else {
    must(driver_of(memory).cuMemFree(address(memory)), "cuMemFree");
    must(cuda.cuCtxSetCurrent(cuda.context), "cuCtxSetCurrent");
  }
}

void upload(void* to, const void* from, std::size_t bytes) {
  must(driver_of(to).cuMemcpy(address(to), address(from), bytes), "cuMemcpy");
  must(driver_of(to).cuStreamSynchronize(nullptr), "cuStreamSynchronize");
  driver();
}

void download(void* to, const void* from, std::size_t bytes) {
  must(driver_of(from).cuMemcpy(address(to), address(from), bytes), "cuMemcpy");
  driver();
}

void drop_other_context() {
  if (other_context != nullptr) must(driver().cuCtxDestroy(other_context), "cuCtxDestroy");
  other_context = nullptr;
}

Stream::Stream() {
  CUstream stream = nullptr;
  must(driver().cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
  stream_ = stream;
}

Stream::~Stream() {
  driver().cuStreamDestroy(static_cast<CUstream>(stream_));
}

void Stream::copy(void* to, const void* from, std::size_t bytes) {
  must(driver().cuMemcpyAsync(address(to), address(from), bytes, static_cast<CUstream>(stream_)),
       "cuMemcpyAsync");
}

bool Stream::idle() const {
  const CUresult result = driver().cuStreamQuery(static_cast<CUstream>(stream_));
  if (result != CUDA_ERROR_NOT_READY) must(result, "cuStreamQuery");
  return result == CUDA_SUCCESS;
}

void Stream::synchronize() {
  must(driver().cuStreamSynchronize(static_cast<CUstream>(stream_)), "cuStreamSynchronize");
}

std::uint64_t calls(const char* name) {
  return driver().calls != nullptr ? driver().calls(name) : 0;
}

#else

int share() {
  return 0;
}
bool emulated() {
  return false;
}
void* allocate(Memory, std::size_t) {
  throw std::runtime_error("built without CUDA");
}
void release(Memory, void*) {}
void upload(void*, const void*, std::size_t) {}
void download(void*, const void*, std::size_t) {}
void drop_other_context() {}
Stream::Stream() {
  throw std::runtime_error("built without CUDA");
}
Stream::~Stream() = default;
void Stream::copy(void*, const void*, std::size_t) {}
bool Stream::idle() const {
  return true;
}
void Stream::synchronize() {}
std::uint64_t calls(const char*) {
  return 0;
}

#endif

}  // namespace mpix::test::gpu
