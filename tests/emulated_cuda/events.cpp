// SPDX-License-Identifier: BSD-3-Clause
// Events. To record one is an operation of the stream, so that it waits for what such operations wait for.
#include <chrono>

#include "emulator.hpp"

using namespace emulated;

namespace {

double now() {
  const std::chrono::duration<double, std::milli> since = std::chrono::steady_clock::now().time_since_epoch();
  return since.count();
}

/// A copy of what the event is now.
CUresult find(CUevent handle, CUevent_st& event) {
  const std::lock_guard guard(driver().mutex);
  const auto found = driver().events.find(handle);
  if (found == driver().events.end()) return CUDA_ERROR_INVALID_HANDLE;
  event = *found->second;
  return CUDA_SUCCESS;
}

bool is_done(const Point& point) {
  const std::lock_guard guard(driver().mutex);
  return point.stream == nullptr || point.stream->completed >= point.count;
}

}  // namespace

EMULATED CUresult CUDAAPI cuEventCreate(CUevent* result, unsigned int flags) {
  EMULATED_CONTEXT_CALL(cuEventCreate, CUDA_ERROR_OUT_OF_MEMORY);
  auto made = std::make_unique<CUevent_st>();
  made->context = current();
  made->timed = (flags & CU_EVENT_DISABLE_TIMING) == 0;
  const std::lock_guard guard(driver().mutex);
  *result = made.get();
  driver().events[*result] = std::move(made);
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuEventDestroy(CUevent handle) {
  EMULATED_CALL(cuEventDestroy, CUDA_ERROR_UNKNOWN);
  const std::lock_guard guard(driver().mutex);
  return driver().events.erase(handle) == 1 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

EMULATED CUresult CUDAAPI cuEventRecord(CUevent handle, CUstream stream_handle) {
  EMULATED_STREAM_CALL(cuEventRecord, CUDA_ERROR_UNKNOWN, stream_handle);
  CUevent_st event;
  EMULATED_RETURN_IF(find(handle, event));
  if (event.context != stream->context) return CUDA_ERROR_INVALID_HANDLE;
  event.milliseconds = std::make_shared<double>(0);
  event.point = {stream, submit(
                             stream, [time = event.milliseconds] { *time = now(); }, true)};
  const std::lock_guard guard(driver().mutex);
  const auto found = driver().events.find(handle);
  if (found == driver().events.end()) return CUDA_ERROR_INVALID_HANDLE;
  *found->second = event;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuStreamWaitEvent(CUstream stream_handle, CUevent handle, unsigned int) {
  EMULATED_STREAM_CALL(cuStreamWaitEvent, CUDA_ERROR_UNKNOWN, stream_handle);
  CUevent_st event;
  EMULATED_RETURN_IF(find(handle, event));
  if (event.point.stream == nullptr) return CUDA_SUCCESS;
  submit(stream, [point = event.point] { await(point.stream, point.count); });
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuEventQuery(CUevent handle) {
  EMULATED_CALL(cuEventQuery, CUDA_ERROR_UNKNOWN);
  EMULATED_RETURN_IF(unless_captured());
  CUevent_st event;
  EMULATED_RETURN_IF(find(handle, event));
  EMULATED_RETURN_IF(usable(event.context));
  return is_done(event.point) ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

EMULATED CUresult CUDAAPI cuEventSynchronize(CUevent handle) {
  EMULATED_CALL(cuEventSynchronize, CUDA_ERROR_UNKNOWN);
  EMULATED_RETURN_IF(unless_captured());
  CUevent_st event;
  EMULATED_RETURN_IF(find(handle, event));
  if (event.point.stream != nullptr) await(event.point.stream, event.point.count);
  return usable(event.context);
}

EMULATED CUresult CUDAAPI cuEventElapsedTime(float* milliseconds, CUevent start, CUevent end) {
  EMULATED_CALL(cuEventElapsedTime, CUDA_ERROR_UNKNOWN);
  CUevent_st first, last;
  EMULATED_RETURN_IF(find(start, first));
  EMULATED_RETURN_IF(find(end, last));
  EMULATED_RETURN_IF(usable(first.context));
  if (!first.timed || !last.timed || first.milliseconds == nullptr || last.milliseconds == nullptr)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!is_done(first.point) || !is_done(last.point)) return CUDA_ERROR_NOT_READY;
  *milliseconds = static_cast<float>(*last.milliseconds - *first.milliseconds);
  return CUDA_SUCCESS;
}
