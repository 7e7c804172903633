// SPDX-License-Identifier: BSD-3-Clause
// Contexts, and which of them is current.
#include <algorithm>
#include <iterator>

#include "emulator.hpp"

namespace emulated {
namespace {

/// Without a destructor: static objects of applications call the driver when those of threads are gone.
struct ContextStack {
  CUcontext entries[64];
  std::size_t size;

  bool push(CUcontext context) {
    if (size == std::size(entries)) return false;
    entries[size++] = context;
    return true;
  }
};
thread_local ContextStack stack;

/// With the mutex held.
CUresult state_of(CUcontext context) {
  const auto& all = driver().contexts;
  if (std::none_of(all.begin(), all.end(), [&](const auto& known) { return known.get() == context; }))
    return CUDA_ERROR_INVALID_CONTEXT;
  return context->alive ? CUDA_SUCCESS : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

CUresult check(CUcontext context) {
  const std::lock_guard guard(driver().mutex);
  return state_of(context);
}

/// With the mutex held.
void bring_to_life(CUcontext context) {
  context->alive = true;
  context->id = driver().next_context++;
  context->error = CUDA_SUCCESS;
  context->peers.clear();
  context->default_stream = make_stream(context, true);
}

/// With the mutex held.
void forget_memory_of(CUcontext context) {
  std::vector<std::uintptr_t> owned;
  for (const auto& [address, allocation] : driver().allocations)
    if (allocation.context == context) owned.push_back(address);
  for (const std::uintptr_t address : owned) {
    Allocation& allocation = driver().allocations[address];
    allocation.opened = 0;
    // Pinned memory is left to the process.
    if (release(address) != CUDA_SUCCESS) driver().allocations.erase(address);
  }
}

/// Everything in the context ends, what its streams have still to do as well.
void destroy(CUcontext context) {
  {
    const std::lock_guard guard(driver().mutex);
    context->error = CUDA_ERROR_CONTEXT_IS_DESTROYED;
  }
  await_all(context);
  Driver& d = driver();
  const std::lock_guard guard(d.mutex);
  context->alive = false;
  context->retained = 0;
  for (const StreamPointer& stream : d.streams)
    if (stream->context == context) stream->destroyed = true;
  std::erase_if(d.thread_streams, [&](const auto& entry) { return entry.first.second == context; });
  std::erase_if(d.events, [&](const auto& entry) { return entry.second->context == context; });
  for (const auto& module : d.modules)
    if (module->context == context) module->loaded = false;
  for (const auto& other : d.contexts) other->peers.erase(context);
  forget_memory_of(context);
}

bool exists(CUdevice device) {
  return device >= 0 && device < device_count();
}

CUcontext primary(CUdevice device) {
  return driver().contexts[static_cast<std::size_t>(device)].get();
}

CUresult create(CUcontext* result, CUdevice device) {
  if (!exists(device)) return CUDA_ERROR_INVALID_DEVICE;
  const std::lock_guard guard(driver().mutex);
  auto made = std::make_unique<CUctx_st>();
  made->ordinal = device;
  bring_to_life(made.get());
  *result = made.get();
  driver().contexts.push_back(std::move(made));
  return stack.push(*result) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

}  // namespace

CUcontext current() {
  return stack.size == 0 ? nullptr : stack.entries[stack.size - 1];
}

CUresult usable(CUcontext context) {
  const std::lock_guard guard(driver().mutex);
  EMULATED_RETURN_IF(state_of(context));
  return context->error;
}

}  // namespace emulated

using namespace emulated;

EMULATED CUresult CUDAAPI cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  EMULATED_CALL(cuDevicePrimaryCtxRetain, CUDA_ERROR_OUT_OF_MEMORY);
  if (!exists(device)) return CUDA_ERROR_INVALID_DEVICE;
  const std::lock_guard guard(driver().mutex);
  const CUcontext made = primary(device);
  if (!made->alive) bring_to_life(made);
  ++made->retained;
  *context = made;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuDevicePrimaryCtxRelease(CUdevice device) {
  EMULATED_CALL(cuDevicePrimaryCtxRelease, CUDA_ERROR_UNKNOWN);
  if (!exists(device)) return CUDA_ERROR_INVALID_DEVICE;
  {
    const std::lock_guard guard(driver().mutex);
    if (primary(device)->retained == 0) return CUDA_ERROR_INVALID_CONTEXT;
    if (--primary(device)->retained > 0) return CUDA_SUCCESS;
  }
  destroy(primary(device));
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuDevicePrimaryCtxReset(CUdevice device) {
  EMULATED_CALL(cuDevicePrimaryCtxReset, CUDA_ERROR_UNKNOWN);
  if (!exists(device)) return CUDA_ERROR_INVALID_DEVICE;
  if (check(primary(device)) == CUDA_SUCCESS) destroy(primary(device));
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuDevicePrimaryCtxGetState(CUdevice device, unsigned int* flags, int* active) {
  EMULATED_CALL(cuDevicePrimaryCtxGetState, CUDA_ERROR_INVALID_DEVICE);
  if (!exists(device)) return CUDA_ERROR_INVALID_DEVICE;
  *flags = 0;
  *active = check(primary(device)) == CUDA_SUCCESS;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuCtxCreate_v2(CUcontext* context, unsigned int, CUdevice device) {
  EMULATED_CALL(cuCtxCreate, CUDA_ERROR_OUT_OF_MEMORY);
  return create(context, device);
}
#if CUDA_VERSION >= 13000
EMULATED CUresult CUDAAPI cuCtxCreate(CUcontext* context, CUctxCreateParams*, unsigned int, CUdevice device) {
  EMULATED_CALL(cuCtxCreate, CUDA_ERROR_OUT_OF_MEMORY);
  return create(context, device);
}
#endif

EMULATED CUresult CUDAAPI cuCtxDestroy(CUcontext context) {
  EMULATED_CALL(cuCtxDestroy, CUDA_ERROR_UNKNOWN);
  EMULATED_RETURN_IF(check(context));
  if (context == primary(context->ordinal)) return CUDA_ERROR_INVALID_CONTEXT;
  if (context == current()) --stack.size;
  destroy(context);
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuCtxPushCurrent(CUcontext context) {
  EMULATED_CALL(cuCtxPushCurrent, CUDA_ERROR_INVALID_CONTEXT);
  EMULATED_RETURN_IF(check(context));
  return stack.push(context) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

EMULATED CUresult CUDAAPI cuCtxPopCurrent(CUcontext* context) {
  EMULATED_CALL(cuCtxPopCurrent, CUDA_ERROR_INVALID_CONTEXT);
  if (stack.size == 0) return CUDA_ERROR_INVALID_CONTEXT;
  if (context != nullptr) *context = current();
  --stack.size;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuCtxGetCurrent(CUcontext* context) {
  EMULATED_CALL(cuCtxGetCurrent, CUDA_ERROR_UNKNOWN);
  *context = current();
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuCtxSetCurrent(CUcontext context) {
  EMULATED_CALL(cuCtxSetCurrent, CUDA_ERROR_INVALID_CONTEXT);
  if (context != nullptr) EMULATED_RETURN_IF(check(context));
  if (stack.size > 0) --stack.size;
  return context == nullptr || stack.push(context) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

EMULATED CUresult CUDAAPI cuCtxGetDevice(CUdevice* device) {
  EMULATED_CALL(cuCtxGetDevice, CUDA_ERROR_INVALID_CONTEXT);
  EMULATED_RETURN_IF(check(current()));
  *device = current()->ordinal;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuCtxGetId(CUcontext context, unsigned long long* id) {
  EMULATED_CALL(cuCtxGetId, CUDA_ERROR_INVALID_CONTEXT);
  if (context == nullptr) context = current();
  const std::lock_guard guard(driver().mutex);
  EMULATED_RETURN_IF(state_of(context));
  *id = context->id;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuCtxSynchronize(void) {
  EMULATED_CONTEXT_CALL(cuCtxSynchronize, CUDA_ERROR_UNKNOWN);
  await_all(current());
  return usable(current());
}

EMULATED CUresult CUDAAPI cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  EMULATED_CONTEXT_CALL(cuCtxGetStreamPriorityRange, CUDA_ERROR_UNKNOWN);
  if (least != nullptr) *least = 0;
  if (greatest != nullptr) *greatest = -5;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuCtxEnablePeerAccess(CUcontext peer, unsigned int flags) {
  EMULATED_CONTEXT_CALL(cuCtxEnablePeerAccess, CUDA_ERROR_PEER_ACCESS_UNSUPPORTED);
  EMULATED_RETURN_IF(check(peer));
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  if (peer == current()) return CUDA_ERROR_INVALID_CONTEXT;
  if (peer->ordinal == current()->ordinal || !peers_allowed()) return CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
  const std::lock_guard guard(driver().mutex);
  return current()->peers.insert(peer).second ? CUDA_SUCCESS : CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED;
}
