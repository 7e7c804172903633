// SPDX-License-Identifier: BSD-3-Clause
// What is known of the GPUs.
#include <cstdio>
#include <cstring>

#include "emulator.hpp"

using emulated::device_count;

namespace {

bool exists(CUdevice device) {
  return device >= 0 && device < device_count();
}

/// What is not listed is an ability, and there.
int value_of(CUdevice_attribute attribute, CUdevice device) {
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
      return 4;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
      return 9;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
    case CU_DEVICE_ATTRIBUTE_INTEGRATED:
    case CU_DEVICE_ATTRIBUTE_COMPUTE_MODE:
    case CU_DEVICE_ATTRIBUTE_KERNEL_EXEC_TIMEOUT:
    case CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID:
    case CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID:
    case CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS:
    case CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS_USES_HOST_PAGE_TABLES:
    case CU_DEVICE_ATTRIBUTE_DIRECT_MANAGED_MEM_ACCESS_FROM_HOST:
      return 0;
    case CU_DEVICE_ATTRIBUTE_PCI_BUS_ID:
      return device + 1;
    case CU_DEVICE_ATTRIBUTE_WARP_SIZE:
      return 32;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y:
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
      return 1024;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z:
      return 64;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR:
      return 2048;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X:
      return 2147483647;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y:
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z:
      return 65535;
    default:
      return 1;
  }
}

}  // namespace

EMULATED CUresult CUDAAPI cuDeviceGetCount(int* count) {
  EMULATED_CALL(cuDeviceGetCount, CUDA_ERROR_UNKNOWN);
  *count = device_count();
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuDeviceGet(CUdevice* device, int ordinal) {
  EMULATED_CALL(cuDeviceGet, CUDA_ERROR_INVALID_DEVICE);
  if (!exists(ordinal)) return CUDA_ERROR_INVALID_DEVICE;
  *device = ordinal;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuDeviceGetName(char* name, int length, CUdevice device) {
  EMULATED_CALL(cuDeviceGetName, CUDA_ERROR_INVALID_DEVICE);
  if (!exists(device)) return CUDA_ERROR_INVALID_DEVICE;
  std::snprintf(name, static_cast<std::size_t>(length), "emulated GPU %d", device);
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuDeviceGetUuid(CUuuid* uuid, CUdevice device) {
  EMULATED_CALL(cuDeviceGetUuid, CUDA_ERROR_INVALID_DEVICE);
  if (!exists(device)) return CUDA_ERROR_INVALID_DEVICE;
  std::memset(uuid, 0, sizeof *uuid);
  std::memcpy(uuid->bytes, "emulated", 8);
  std::memcpy(uuid->bytes + 8, &device, sizeof device);
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device) {
  EMULATED_CALL(cuDeviceGetAttribute, CUDA_ERROR_INVALID_DEVICE);
  if (!exists(device)) return CUDA_ERROR_INVALID_DEVICE;
  *value = value_of(attribute, device);
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuDeviceTotalMem(size_t* bytes, CUdevice device) {
  EMULATED_CALL(cuDeviceTotalMem, CUDA_ERROR_INVALID_DEVICE);
  if (!exists(device)) return CUDA_ERROR_INVALID_DEVICE;
  *bytes = std::size_t{16} << 30;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuDeviceCanAccessPeer(int* can, CUdevice device, CUdevice peer) {
  EMULATED_CALL(cuDeviceCanAccessPeer, CUDA_ERROR_INVALID_DEVICE);
  if (!exists(device) || !exists(peer)) return CUDA_ERROR_INVALID_DEVICE;
  *can = device != peer && emulated::peers_allowed();
  return CUDA_SUCCESS;
}
