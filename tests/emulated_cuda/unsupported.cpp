// SPDX-License-Identifier: BSD-3-Clause
// What the emulated GPUs do not have, for libraries that cannot be loaded without it, UCX among them.
#include "emulator.hpp"

using namespace emulated;

#define EMULATED_UNSUPPORTED(name, ...)         \
  EMULATED CUresult CUDAAPI name(__VA_ARGS__) { \
    EMULATED_CALL(name, CUDA_ERROR_UNKNOWN);    \
    return CUDA_ERROR_NOT_SUPPORTED;            \
  }

EMULATED_UNSUPPORTED(cuMemAddressFree, CUdeviceptr, size_t)
EMULATED_UNSUPPORTED(cuMemAddressReserve, CUdeviceptr*, size_t, size_t, CUdeviceptr, unsigned long long)
EMULATED_UNSUPPORTED(cuMemCreate, CUmemGenericAllocationHandle*, size_t, const CUmemAllocationProp*,
                     unsigned long long)
EMULATED_UNSUPPORTED(cuMemExportToShareableHandle, void*, CUmemGenericAllocationHandle,
                     CUmemAllocationHandleType, unsigned long long)
EMULATED_UNSUPPORTED(cuMemGetAllocationGranularity, size_t*, const CUmemAllocationProp*,
                     CUmemAllocationGranularity_flags)
EMULATED_UNSUPPORTED(cuMemGetAllocationPropertiesFromHandle, CUmemAllocationProp*,
                     CUmemGenericAllocationHandle)
EMULATED_UNSUPPORTED(cuMemImportFromShareableHandle, CUmemGenericAllocationHandle*, void*,
                     CUmemAllocationHandleType)
EMULATED_UNSUPPORTED(cuMemMap, CUdeviceptr, size_t, size_t, CUmemGenericAllocationHandle, unsigned long long)
EMULATED_UNSUPPORTED(cuMemRelease, CUmemGenericAllocationHandle)
EMULATED_UNSUPPORTED(cuMemRetainAllocationHandle, CUmemGenericAllocationHandle*, void*)
EMULATED_UNSUPPORTED(cuMemSetAccess, CUdeviceptr, size_t, const CUmemAccessDesc*, size_t)
EMULATED_UNSUPPORTED(cuMemUnmap, CUdeviceptr, size_t)
EMULATED_UNSUPPORTED(cuMemPoolDestroy, CUmemoryPool)
EMULATED_UNSUPPORTED(cuMemPoolExportPointer, CUmemPoolPtrExportData*, CUdeviceptr)
EMULATED_UNSUPPORTED(cuMemPoolExportToShareableHandle, void*, CUmemoryPool, CUmemAllocationHandleType,
                     unsigned long long)
EMULATED_UNSUPPORTED(cuMemPoolImportFromShareableHandle, CUmemoryPool*, void*, CUmemAllocationHandleType,
                     unsigned long long)
EMULATED_UNSUPPORTED(cuMemPoolImportPointer, CUdeviceptr*, CUmemoryPool, CUmemPoolPtrExportData*)
EMULATED_UNSUPPORTED(cuMemPoolSetAccess, CUmemoryPool, const CUmemAccessDesc*, size_t)
EMULATED_UNSUPPORTED(cuMemRangeGetAttribute, void*, size_t, CUmem_range_attribute, CUdeviceptr, size_t)
EMULATED_UNSUPPORTED(cuStreamAddCallback, CUstream, CUstreamCallback, void*, unsigned int)
