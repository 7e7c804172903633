// SPDX-License-Identifier: BSD-3-Clause
// Copies and fills. GPUs need not reach each other for them.
#include <cstring>

#include "emulator.hpp"

using namespace emulated;

namespace {

std::uintptr_t address_of(const void* memory) {
  return reinterpret_cast<std::uintptr_t>(memory);
}

bool is_pageable(std::uintptr_t address) {
  const std::lock_guard guard(driver().mutex);
  return driver().find(address) == nullptr && !is_device_place(address);
}

/// For operations of streams.
std::byte* find(std::uintptr_t address, std::size_t bytes) {
  const std::lock_guard guard(driver().mutex);
  std::byte* const found = driver().resolve(address, bytes, nullptr);
  if (found == nullptr) driver().illegal("a copy of " + std::to_string(bytes) + " bytes");
  return found;
}

void copy_now(std::uintptr_t to, std::uintptr_t from, std::size_t bytes) {
  std::byte *const target = find(to, bytes), *const source = find(from, bytes);
  if (target != nullptr && source != nullptr) std::memmove(target, source, bytes);
}

/// Number of the operation. Pageable memory is read before the call returns.
std::uint64_t start(const StreamPointer& stream, std::uintptr_t to, std::uintptr_t from, std::size_t bytes) {
  if (!is_pageable(from)) return submit(stream, [=] { copy_now(to, from, bytes); });
  const auto* const source = reinterpret_cast<const std::byte*>(from);
  auto kept = std::make_shared<std::vector<std::byte>>(source, source + bytes);
  return submit(stream, [=] { copy_now(to, address_of(kept->data()), bytes); });
}

/// Pageable memory is written before the call returns.
CUresult copy_async(const StreamPointer& stream, std::uintptr_t to, std::uintptr_t from, std::size_t bytes) {
  if (bytes == 0) return CUDA_SUCCESS;
  const std::uint64_t count = start(stream, to, from, bytes);
  if (!is_pageable(to)) return CUDA_SUCCESS;
  await(stream, count);
  return usable(stream->context);
}

/// As the driver says of its synchronous copies: those from pageable memory may end after they return, and
/// those between GPUs do not wait at all.
CUresult copy(std::uintptr_t to, std::uintptr_t from, std::size_t bytes) {
  if (bytes == 0) return CUDA_SUCCESS;
  StreamPointer stream;
  EMULATED_RETURN_IF(find_stream(nullptr, stream));
  const bool returns = is_device_place(to) && (is_device_place(from) || is_pageable(from));
  const std::uint64_t count = start(stream, to, from, bytes);
  if (returns) return CUDA_SUCCESS;
  await(stream, count);
  return usable(stream->context);
}

CUresult fill(const StreamPointer& stream, CUdeviceptr to, unsigned char value, std::size_t bytes) {
  if (bytes == 0) return CUDA_SUCCESS;
  submit(stream, [=] {
    if (std::byte* const target = find(to, bytes)) std::memset(target, value, bytes);
  });
  return CUDA_SUCCESS;
}

/// One side of a two-dimensional copy; `start` is 0 where its memory is none that is emulated.
struct Rows {
  std::uintptr_t start = 0;
  std::size_t pitch = 0;
};
Rows rows_of(CUmemorytype type, CUdeviceptr device, const void* host, std::size_t x, std::size_t y,
             std::size_t pitch) {
  if (type == CU_MEMORYTYPE_ARRAY) return {};
  const std::uintptr_t base = type == CU_MEMORYTYPE_HOST ? address_of(host) : device;
  return {base + y * pitch + x, pitch};
}

}  // namespace

EMULATED CUresult CUDAAPI cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  EMULATED_CONTEXT_CALL(cuMemcpy, CUDA_ERROR_UNKNOWN);
  return copy(to, from, bytes);
}
EMULATED CUresult CUDAAPI cuMemcpyHtoD(CUdeviceptr to, const void* from, size_t bytes) {
  EMULATED_CONTEXT_CALL(cuMemcpyHtoD, CUDA_ERROR_UNKNOWN);
  return copy(to, address_of(from), bytes);
}
EMULATED CUresult CUDAAPI cuMemcpyDtoH(void* to, CUdeviceptr from, size_t bytes) {
  EMULATED_CONTEXT_CALL(cuMemcpyDtoH, CUDA_ERROR_UNKNOWN);
  return copy(address_of(to), from, bytes);
}
EMULATED CUresult CUDAAPI cuMemcpyDtoD(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  EMULATED_CONTEXT_CALL(cuMemcpyDtoD, CUDA_ERROR_UNKNOWN);
  return copy(to, from, bytes);
}
EMULATED CUresult CUDAAPI cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream handle) {
  EMULATED_STREAM_CALL(cuMemcpyAsync, CUDA_ERROR_UNKNOWN, handle);
  return copy_async(stream, to, from, bytes);
}
EMULATED CUresult CUDAAPI cuMemcpyHtoDAsync(CUdeviceptr to, const void* from, size_t bytes, CUstream handle) {
  EMULATED_STREAM_CALL(cuMemcpyHtoDAsync, CUDA_ERROR_UNKNOWN, handle);
  return copy_async(stream, to, address_of(from), bytes);
}
EMULATED CUresult CUDAAPI cuMemcpyDtoHAsync(void* to, CUdeviceptr from, size_t bytes, CUstream handle) {
  EMULATED_STREAM_CALL(cuMemcpyDtoHAsync, CUDA_ERROR_UNKNOWN, handle);
  return copy_async(stream, address_of(to), from, bytes);
}
EMULATED CUresult CUDAAPI cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream handle) {
  EMULATED_STREAM_CALL(cuMemcpyDtoDAsync, CUDA_ERROR_UNKNOWN, handle);
  return copy_async(stream, to, from, bytes);
}

EMULATED CUresult CUDAAPI cuMemcpy2DAsync(const CUDA_MEMCPY2D* what, CUstream handle) {
  EMULATED_STREAM_CALL(cuMemcpy2DAsync, CUDA_ERROR_UNKNOWN, handle);
  const CUDA_MEMCPY2D& w = *what;
  const Rows from = rows_of(w.srcMemoryType, w.srcDevice, w.srcHost, w.srcXInBytes, w.srcY, w.srcPitch);
  const Rows to = rows_of(w.dstMemoryType, w.dstDevice, w.dstHost, w.dstXInBytes, w.dstY, w.dstPitch);
  if (from.start == 0 || to.start == 0) return CUDA_ERROR_NOT_SUPPORTED;
  if (w.Height > 1 && (from.pitch < w.WidthInBytes || to.pitch < w.WidthInBytes))
    return CUDA_ERROR_INVALID_VALUE;
  for (std::size_t row = 0; row < w.Height; ++row)
    EMULATED_RETURN_IF(
        copy_async(stream, to.start + row * to.pitch, from.start + row * from.pitch, w.WidthInBytes));
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t bytes,
                                          CUstream handle) {
  EMULATED_STREAM_CALL(cuMemsetD8Async, CUDA_ERROR_UNKNOWN, handle);
  return fill(stream, to, value, bytes);
}
/// Asynchronous too, as with a real driver where the memory is a GPU's.
EMULATED CUresult CUDAAPI cuMemsetD8(CUdeviceptr to, unsigned char value, size_t bytes) {
  EMULATED_STREAM_CALL(cuMemsetD8, CUDA_ERROR_UNKNOWN, nullptr);
  return fill(stream, to, value, bytes);
}
