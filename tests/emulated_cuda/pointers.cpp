// SPDX-License-Identifier: BSD-3-Clause
// What is known of pointers.
#include <cstring>

#include "emulator.hpp"

using namespace emulated;

namespace {

template <typename T>
void give(void* data, T value) {
  std::memcpy(data, &value, sizeof value);
}

/// `found`: null for memory of which no GPU knows, whose values are zeros.
CUresult attribute_of(const Allocation* found, CUpointer_attribute attribute, CUdeviceptr address,
                      void* data) {
  const bool device = found != nullptr && (found->kind == Kind::device || found->kind == Kind::managed);
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
      give<CUcontext>(data, found != nullptr ? found->context : nullptr);
      break;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
      give<unsigned>(data, found == nullptr ? 0 : device ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST);
      break;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
      give<CUdeviceptr>(data, found != nullptr ? address : 0);
      break;
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
      give<CUdeviceptr>(data, found != nullptr && found->kind != Kind::device ? address : 0);
      break;
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
      give<unsigned long long>(data, found != nullptr ? found->buffer : 0);
      break;
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
      give<unsigned>(data, found != nullptr && found->kind == Kind::managed);
      break;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      give<int>(data, found != nullptr ? found->ordinal : -2);
      break;
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
      give<bool>(data, found != nullptr && found->kind == Kind::device && !found->pool && found->opened == 0);
      break;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
      give<CUdeviceptr>(data, found != nullptr ? found->address : 0);
      break;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
      give<size_t>(data, found != nullptr ? found->bytes : 0);
      break;
    case CU_POINTER_ATTRIBUTE_MAPPED:
      give<bool>(data, found != nullptr);
      break;
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
      give<CUmemoryPool>(data, found != nullptr && found->pool ? reinterpret_cast<CUmemoryPool>(1) : nullptr);
      break;
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
      give<unsigned long long>(data, 0);  // by no handle of the operating system
      break;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}

}  // namespace

EMULATED CUresult CUDAAPI cuPointerGetAttribute(void* data, CUpointer_attribute attribute,
                                                CUdeviceptr address) {
  EMULATED_CALL(cuPointerGetAttribute, CUDA_ERROR_UNKNOWN);
  const std::lock_guard guard(driver().mutex);
  const Allocation* const found = driver().find(address);
  return found == nullptr ? CUDA_ERROR_INVALID_VALUE : attribute_of(found, attribute, address, data);
}

EMULATED CUresult CUDAAPI cuPointerGetAttributes(unsigned int count, CUpointer_attribute* attributes,
                                                 void** data, CUdeviceptr address) {
  EMULATED_CALL(cuPointerGetAttributes, CUDA_ERROR_UNKNOWN);
  const std::lock_guard guard(driver().mutex);
  const Allocation* const found = driver().find(address);
  for (unsigned i = 0; i < count; ++i)
    if (const CUresult result = attribute_of(found, attributes[i], address, data[i]); result != CUDA_SUCCESS)
      return result;
  return CUDA_SUCCESS;
}

/// Copies are synchronous enough here that nothing has to change.
EMULATED CUresult CUDAAPI cuPointerSetAttribute(const void* value, CUpointer_attribute attribute,
                                                CUdeviceptr address) {
  EMULATED_CALL(cuPointerSetAttribute, CUDA_ERROR_UNKNOWN);
  const std::lock_guard guard(driver().mutex);
  const bool known = value != nullptr && attribute == CU_POINTER_ATTRIBUTE_SYNC_MEMOPS;
  return known && driver().find(address) != nullptr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
