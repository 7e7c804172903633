// SPDX-License-Identifier: BSD-3-Clause
#include "device/cuda/contexts.hpp"

#include <algorithm>

#include "kernels/device/image.hpp"
#include "kernels/device/job.hpp"
#include "kernels/device/offsets.hpp"

namespace mpix::device::cuda {

Contexts::Entry* Contexts::find(CUcontext handle) {
  std::erase_if(entries_, [](const Entry& e) { return !e.context->alive(); });
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& e) { return e.context->get() == handle; });
  return found == entries_.end() ? nullptr : &*found;
}

CudaContextPointer Contexts::add(CudaContextPointer context) {
  if (find(context->get()) == nullptr) entries_.push_back({context, {}, {}});
  return context;
}

CudaContextPointer Contexts::get(CUcontext handle, int ordinal) {
  if (handle == nullptr) return of(ordinal);
  const std::lock_guard guard(mutex_);
  if (const Entry* const entry = find(handle)) return entry->context;
  return add(std::make_shared<const CudaContext>(driver_, handle, ordinal));
}

CudaContextPointer Contexts::of(int ordinal) {
  const std::lock_guard guard(mutex_);
  return first(ordinal);
}

CudaContextPointer Contexts::importer(int ordinal) {
  const std::lock_guard guard(mutex_);
  CudaContextPointer& importer = importers_[ordinal];
  if (importer != nullptr && importer->alive()) return importer;
  CUdevice device = 0;
  unsigned flags = 0;
  int active = 0;
  cuda_check(*driver_, driver_->cuDeviceGet(&device, ordinal), "cuDeviceGet");
  cuda_check(*driver_, driver_->cuDevicePrimaryCtxGetState(device, &flags, &active),
             "cuDevicePrimaryCtxGetState");
  if (active == 0) return importer = first(ordinal);
  const CudaContextPointer primary = CudaContext::primary(driver_, ordinal);
  const Entry* const known = find(primary->get());
  return importer = known != nullptr ? known->context : add(primary);
}

CudaContextPointer Contexts::first(int ordinal) {
  for (const Entry& entry : entries_)
    if (entry.context->ordinal() == ordinal && entry.context->alive()) return entry.context;
  return add(CudaContext::primary(driver_, ordinal));
}

CudaContextPointer Contexts::living(std::uint64_t number) const noexcept {
  for (const Entry& entry : entries_)
    if (entry.context->number() == number && entry.context->alive()) return entry.context;
  return nullptr;
}

CudaContextPointer Contexts::numbered(std::uint64_t number) {
  const std::lock_guard guard(mutex_);
  if (CudaContextPointer context = living(number)) return context;
  throw Error(Code::internal, "a CUDA context is gone");
}

bool Contexts::lives(std::uint64_t number) noexcept {
  const std::lock_guard guard(mutex_);
  return living(number) != nullptr;
}

CudaContextPointer Contexts::of_stream(CUstream stream) {
  CUcontext handle = nullptr;
  const bool named = stream != nullptr && stream != CU_STREAM_LEGACY && stream != CU_STREAM_PER_THREAD;
  const bool asks = named && driver_->cuStreamGetCtx != nullptr;
  const CUresult found = asks ? driver_->cuStreamGetCtx(stream, &handle) : driver_->cuCtxGetCurrent(&handle);
  if (found != CUDA_SUCCESS && found != CUDA_ERROR_NOT_INITIALIZED)
    cuda_check(*driver_, found, asks ? "cuStreamGetCtx" : "cuCtxGetCurrent");
  if (handle == nullptr)
    throw Error(Code::argument, "the CUDA stream cannot be used: the thread has no current CUDA context");
  CUdevice device = 0;
  const CudaScope scope(*driver_, handle);
  cuda_check(*driver_, scope.result(), "cuCtxPushCurrent");
  cuda_check(*driver_, driver_->cuCtxGetDevice(&device), "cuCtxGetDevice");
  // A CUdevice is the device's ordinal in every driver there has been, but it is not said to be.
  return get(handle, static_cast<int>(device));
}

Kernels Contexts::kernels(const CudaContextPointer& context) {
  const std::lock_guard guard(mutex_);
  add(context);
  Entry* const found = find(context->get());
  if (found == nullptr) throw Error(Code::internal, "a CUDA context is gone");
  Entry& entry = *found;
  if (entry.kernels.copy != nullptr) return entry.kernels;
  CudaModule module = load_cuda_module(context, kernels::device::kernel_image());
  const CudaScope scope(*context);
  cuda_check(*driver_, scope.result(), "cuCtxPushCurrent");
  const auto load = [&](const char* name) {
    CUfunction function = nullptr;
    cuda_check(*driver_, driver_->cuModuleGetFunction(&function, module.get(), name), "cuModuleGetFunction");
    if (driver_->cuFuncLoad != nullptr) cuda_check(*driver_, driver_->cuFuncLoad(function), "cuFuncLoad");
    return function;
  };
  const Kernels loaded{load(kernels::device::kKernelName), load(kernels::device::kOffsetsKernelName)};
  entry.module = std::move(module);
  return entry.kernels = loaded;
}

}  // namespace mpix::device::cuda
