// SPDX-License-Identifier: BSD-3-Clause
// Copies and fills.
#include <cstring>

#include "emulator.hpp"

namespace emulated {
namespace {

bool is_pageable(std::uintptr_t address) {
  const std::lock_guard guard(driver().mutex);
  return driver().find(address) == nullptr && !driver().is_device_place(address);
}

std::byte* find(std::uintptr_t address, std::size_t bytes) {
  const std::lock_guard guard(driver().mutex);
  std::byte* const found = driver().resolve(address, bytes, false);
  if (found == nullptr) driver().illegal("a copy of " + std::to_string(bytes) + " bytes");
  return found;
}

std::uintptr_t address_of(const void* memory) {
  return reinterpret_cast<std::uintptr_t>(memory);
}

CUresult result() {
  const std::lock_guard guard(driver().mutex);
  return driver().error;
}

/// As the driver does: pageable memory is read before the call returns, and written before it returns.
CUresult copy_async(std::uintptr_t to, std::uintptr_t from, std::size_t bytes, CUstream stream) {
  if (bytes == 0) return CUDA_SUCCESS;
  if (is_pageable(from)) {
    const auto* const source = reinterpret_cast<const std::byte*>(from);
    auto kept = std::make_shared<std::vector<std::byte>>(source, source + bytes);
    const std::uint64_t count =
        submit(stream_of(stream), [=] { copy_now(to, address_of(kept->data()), bytes); });
    if (is_pageable(to)) await(stream_of(stream), count);
    return CUDA_SUCCESS;
  }
  const std::uint64_t count = submit(stream_of(stream), [=] { copy_now(to, from, bytes); });
  if (is_pageable(to)) await(stream_of(stream), count);
  return CUDA_SUCCESS;
}

CUresult copy(std::uintptr_t to, std::uintptr_t from, std::size_t bytes) {
  if (bytes == 0) return CUDA_SUCCESS;
  await(driver().default_stream, submit(driver().default_stream, [=] { copy_now(to, from, bytes); }));
  return result();
}

}  // namespace

void copy_now(std::uintptr_t to, std::uintptr_t from, std::size_t bytes) {
  std::byte *const target = find(to, bytes), *const source = find(from, bytes);
  if (target != nullptr && source != nullptr) std::memmove(target, source, bytes);
}

}  // namespace emulated

using namespace emulated;

EMULATED CUresult CUDAAPI cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  EMULATED_CALL(cuMemcpy, CUDA_ERROR_UNKNOWN);
  return copy(to, from, bytes);
}
EMULATED CUresult CUDAAPI cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  EMULATED_CALL(cuMemcpyAsync, CUDA_ERROR_UNKNOWN);
  return copy_async(to, from, bytes, stream);
}
EMULATED CUresult CUDAAPI cuMemcpyHtoD(CUdeviceptr to, const void* from, size_t bytes) {
  EMULATED_CALL(cuMemcpyHtoD, CUDA_ERROR_UNKNOWN);
  return copy(to, address_of(from), bytes);
}
EMULATED CUresult CUDAAPI cuMemcpyDtoH(void* to, CUdeviceptr from, size_t bytes) {
  EMULATED_CALL(cuMemcpyDtoH, CUDA_ERROR_UNKNOWN);
  return copy(address_of(to), from, bytes);
}
EMULATED CUresult CUDAAPI cuMemcpyDtoD(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  EMULATED_CALL(cuMemcpyDtoD, CUDA_ERROR_UNKNOWN);
  return copy(to, from, bytes);
}
EMULATED CUresult CUDAAPI cuMemcpyHtoDAsync(CUdeviceptr to, const void* from, size_t bytes, CUstream stream) {
  EMULATED_CALL(cuMemcpyHtoDAsync, CUDA_ERROR_UNKNOWN);
  return copy_async(to, address_of(from), bytes, stream);
}
EMULATED CUresult CUDAAPI cuMemcpyDtoHAsync(void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
  EMULATED_CALL(cuMemcpyDtoHAsync, CUDA_ERROR_UNKNOWN);
  return copy_async(address_of(to), from, bytes, stream);
}
EMULATED CUresult CUDAAPI cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  EMULATED_CALL(cuMemcpyDtoDAsync, CUDA_ERROR_UNKNOWN);
  return copy_async(to, from, bytes, stream);
}

EMULATED CUresult CUDAAPI cuMemcpy2DAsync(const CUDA_MEMCPY2D* what, CUstream stream) {
  EMULATED_CALL(cuMemcpy2DAsync, CUDA_ERROR_UNKNOWN);
  const CUDA_MEMCPY2D copied = *what;
  if (copied.srcMemoryType != CU_MEMORYTYPE_DEVICE || copied.dstMemoryType != CU_MEMORYTYPE_DEVICE)
    return CUDA_ERROR_NOT_SUPPORTED;
  submit(stream_of(stream), [=] {
    for (std::size_t row = 0; row < copied.Height; ++row)
      copy_now(copied.dstDevice + (copied.dstY + row) * copied.dstPitch + copied.dstXInBytes,
               copied.srcDevice + (copied.srcY + row) * copied.srcPitch + copied.srcXInBytes,
               copied.WidthInBytes);
  });
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t bytes,
                                          CUstream stream) {
  EMULATED_CALL(cuMemsetD8Async, CUDA_ERROR_UNKNOWN);
  submit(stream_of(stream), [=] {
    if (std::byte* const target = find(to, bytes)) std::memset(target, value, bytes);
  });
  return CUDA_SUCCESS;
}
EMULATED CUresult CUDAAPI cuMemsetD8(CUdeviceptr to, unsigned char value, size_t bytes) {
  EMULATED_CALL(cuMemsetD8, CUDA_ERROR_UNKNOWN);
  await(driver().default_stream, submit(driver().default_stream, [=] {
          if (std::byte* const target = find(to, bytes)) std::memset(target, value, bytes);
        }));
  return result();
}
