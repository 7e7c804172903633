// SPDX-License-Identifier: BSD-3-Clause
// Managed, pinned and registered memory.
#include <sys/mman.h>

#include <cstdlib>

#include "emulator.hpp"

namespace emulated {
namespace {

/// With the mutex held.
bool overlaps_known(std::uintptr_t address, std::size_t bytes) {
  const auto& allocations = driver().allocations;
  const auto next = allocations.lower_bound(address);
  return driver().find(address) != nullptr || (next != allocations.end() && next->first - address < bytes);
}

CUresult allocate_host(void** result, std::size_t bytes) {
  constexpr std::size_t kPage = 4096;
  if (bytes == 0 || result == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *result = std::aligned_alloc(kPage, (bytes + kPage - 1) / kPage * kPage);
  if (*result == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
  const std::lock_guard guard(driver().mutex);
  remember(Kind::pinned, *result, bytes);
  return CUDA_SUCCESS;
}

}  // namespace

void remember(Kind kind, const void* memory, std::size_t bytes) {
  Allocation made;
  made.kind = kind;
  made.ordinal = current()->ordinal;
  made.address = reinterpret_cast<std::uintptr_t>(memory);
  made.bytes = bytes;
  made.buffer = driver().next_buffer++;
  made.context = current();
  driver().allocations[made.address] = made;
}

bool forget(Kind kind, const void* memory) {
  auto& allocations = driver().allocations;
  const auto found = allocations.find(reinterpret_cast<std::uintptr_t>(memory));
  if (found == allocations.end() || found->second.kind != kind) return false;
  allocations.erase(found);
  return true;
}

}  // namespace emulated

using namespace emulated;

EMULATED CUresult CUDAAPI cuMemAllocManaged(CUdeviceptr* result, size_t bytes, unsigned int flags) {
  EMULATED_CONTEXT_CALL(cuMemAllocManaged, CUDA_ERROR_OUT_OF_MEMORY);
  if (bytes == 0 || (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST))
    return CUDA_ERROR_INVALID_VALUE;
  void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
  const std::lock_guard guard(driver().mutex);
  remember(Kind::managed, memory, bytes);
  *result = reinterpret_cast<CUdeviceptr>(memory);
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuMemHostAlloc(void** result, size_t bytes, unsigned int) {
  EMULATED_WAITING_CALL(cuMemHostAlloc, CUDA_ERROR_OUT_OF_MEMORY);
  return allocate_host(result, bytes);
}

EMULATED CUresult CUDAAPI cuMemAllocHost(void** result, size_t bytes) {
  EMULATED_WAITING_CALL(cuMemAllocHost, CUDA_ERROR_OUT_OF_MEMORY);
  return allocate_host(result, bytes);
}

EMULATED CUresult CUDAAPI cuMemFreeHost(void* memory) {
  EMULATED_WAITING_CALL(cuMemFreeHost, CUDA_ERROR_UNKNOWN);
  const std::lock_guard guard(driver().mutex);
  if (!forget(Kind::pinned, memory)) return CUDA_ERROR_INVALID_VALUE;
  std::free(memory);
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuMemHostRegister(void* memory, size_t bytes, unsigned int) {
  EMULATED_WAITING_CALL(cuMemHostRegister, CUDA_ERROR_NOT_SUPPORTED);
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  if (memory == nullptr || bytes == 0 || is_device_place(address)) return CUDA_ERROR_INVALID_VALUE;
  const std::lock_guard guard(driver().mutex);
  if (overlaps_known(address, bytes)) return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  remember(Kind::registered, memory, bytes);
  return CUDA_SUCCESS;
}

/// Unlike with a real driver, kernels that use the memory fail from now on, so that tests notice.
EMULATED CUresult CUDAAPI cuMemHostUnregister(void* memory) {
  EMULATED_CONTEXT_CALL(cuMemHostUnregister, CUDA_ERROR_UNKNOWN);
  const std::lock_guard guard(driver().mutex);
  return forget(Kind::registered, memory) ? CUDA_SUCCESS : CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
}

EMULATED CUresult CUDAAPI cuMemHostGetDevicePointer(CUdeviceptr* result, void* memory, unsigned int) {
  EMULATED_CONTEXT_CALL(cuMemHostGetDevicePointer, CUDA_ERROR_UNKNOWN);
  const std::lock_guard guard(driver().mutex);
  const Allocation* const found = driver().find(reinterpret_cast<std::uintptr_t>(memory));
  if (found == nullptr || found->kind == Kind::device) return CUDA_ERROR_INVALID_VALUE;
  *result = reinterpret_cast<CUdeviceptr>(memory);
  return CUDA_SUCCESS;
}
