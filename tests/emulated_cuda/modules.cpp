// SPDX-License-Identifier: BSD-3-Clause
// Modules, which have the library's kernels whatever their image; launches.
#include <algorithm>
#include <cstring>

#include "emulator.hpp"
#include "kernel.hpp"

using namespace emulated;

namespace {

CUresult load(CUmodule* result, const void* image) {
  if (image == nullptr) return CUDA_ERROR_INVALID_IMAGE;
  auto made = std::make_unique<CUmod_st>();
  made->context = current();
  made->copy.module = made->offsets.module = made.get();
  const std::lock_guard guard(driver().mutex);
  *result = made.get();
  driver().modules.push_back(std::move(made));
  return CUDA_SUCCESS;
}

/// With the mutex held.
bool is_loaded(CUmodule module) {
  const auto& all = driver().modules;
  return std::any_of(all.begin(), all.end(),
                     [&](const auto& known) { return known.get() == module && known->loaded; });
}

CUresult check(CUfunction function) {
  const std::lock_guard guard(driver().mutex);
  return function != nullptr && is_loaded(function->module) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

}  // namespace

EMULATED CUresult CUDAAPI cuModuleLoadData(CUmodule* result, const void* image) {
  EMULATED_WAITING_CALL(cuModuleLoadData, CUDA_ERROR_INVALID_IMAGE);
  return load(result, image);
}

EMULATED CUresult CUDAAPI cuModuleLoadDataEx(CUmodule* result, const void* image, unsigned int, CUjit_option*,
                                             void**) {
  EMULATED_CONTEXT_CALL(cuModuleLoadDataEx, CUDA_ERROR_INVALID_IMAGE);
  return load(result, image);
}

EMULATED CUresult CUDAAPI cuModuleUnload(CUmodule module) {
  EMULATED_CONTEXT_CALL(cuModuleUnload, CUDA_ERROR_UNKNOWN);
  const std::lock_guard guard(driver().mutex);
  if (!is_loaded(module)) return CUDA_ERROR_INVALID_HANDLE;
  module->loaded = false;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuModuleGetFunction(CUfunction* result, CUmodule module, const char* name) {
  EMULATED_CONTEXT_CALL(cuModuleGetFunction, CUDA_ERROR_NOT_FOUND);
  const std::lock_guard guard(driver().mutex);
  if (!is_loaded(module)) return CUDA_ERROR_INVALID_HANDLE;
  if (std::strcmp(name, mpix::kernels::device::kKernelName) == 0)
    *result = &module->copy;
  else if (std::strcmp(name, mpix::kernels::device::kOffsetsKernelName) == 0)
    *result = &module->offsets;
  else
    return CUDA_ERROR_NOT_FOUND;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuFuncLoad(CUfunction function) {
  EMULATED_CALL(cuFuncLoad, CUDA_ERROR_UNKNOWN);
  return check(function);
}

EMULATED CUresult CUDAAPI cuFuncGetAttribute(int* value, CUfunction_attribute attribute,
                                             CUfunction function) {
  EMULATED_CALL(cuFuncGetAttribute, CUDA_ERROR_UNKNOWN);
  EMULATED_RETURN_IF(check(function));
  *value = attribute == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? 1024 : 0;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuFuncSetAttribute(CUfunction function, CUfunction_attribute, int) {
  EMULATED_CALL(cuFuncSetAttribute, CUDA_ERROR_UNKNOWN);
  return check(function);
}

EMULATED CUresult CUDAAPI cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction function,
                                                                      int threads, size_t) {
  EMULATED_CALL(cuOccupancyMaxActiveBlocksPerMultiprocessor, CUDA_ERROR_UNKNOWN);
  EMULATED_RETURN_IF(check(function));
  if (threads <= 0) return CUDA_ERROR_INVALID_VALUE;
  *blocks = threads > 1024 ? 0 : 2048 / threads;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuLaunchKernel(CUfunction function, unsigned int grid, unsigned int grid_y,
                                         unsigned int grid_z, unsigned int threads, unsigned int threads_y,
                                         unsigned int threads_z, unsigned int, CUstream handle,
                                         void** parameters, void**) {
  EMULATED_STREAM_CALL(cuLaunchKernel, CUDA_ERROR_LAUNCH_FAILED, handle);
  using mpix::kernels::device::Batch;
  using mpix::kernels::device::OffsetsTask;
  EMULATED_RETURN_IF(check(function));
  if (function->module->context != stream->context) return CUDA_ERROR_INVALID_CONTEXT;
  if (threads != mpix::kernels::device::kThreads || grid == 0 || grid > 2147483647U ||
      parameters == nullptr || grid_y != 1 || grid_z != 1 || threads_y != 1 || threads_z != 1)
    return CUDA_ERROR_INVALID_VALUE;
  if (function == &function->module->offsets) {
    submit(stream,
           [task = *static_cast<const OffsetsTask*>(parameters[0]), grid] { run_offsets(task, grid); });
    return CUDA_SUCCESS;
  }
  auto batch = std::make_shared<Batch>(*static_cast<const Batch*>(parameters[0]));
  submit(stream, [batch, grid] { run_copy(*batch, grid); });
  return CUDA_SUCCESS;
}
