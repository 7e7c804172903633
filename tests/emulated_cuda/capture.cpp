// SPDX-License-Identifier: BSD-3-Clause
// Captures of streams, as far as others notice them: the graphs that come of them are empty.
#include "emulator.hpp"

namespace emulated {
namespace {

thread_local CUstreamCaptureMode mode_of_thread = CU_STREAM_CAPTURE_MODE_GLOBAL;

/// Whether the calling thread's mode lets a capture forbid it what is unsafe.
bool forbids(const CUstream_st& stream) {
  if (stream.capture == CU_STREAM_CAPTURE_STATUS_NONE ||
      stream.capture_mode == CU_STREAM_CAPTURE_MODE_RELAXED)
    return false;
  if (stream.capturing == std::this_thread::get_id()) return mode_of_thread != CU_STREAM_CAPTURE_MODE_RELAXED;
  return mode_of_thread == CU_STREAM_CAPTURE_MODE_GLOBAL &&
         stream.capture_mode == CU_STREAM_CAPTURE_MODE_GLOBAL;
}

}  // namespace

CUresult unless_captured() {
  const std::lock_guard guard(driver().mutex);
  CUresult result = CUDA_SUCCESS;
  for (const StreamPointer& stream : driver().streams) {
    if (!forbids(*stream)) continue;
    stream->capture = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
    result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  return result;
}

}  // namespace emulated

using namespace emulated;

EMULATED CUresult CUDAAPI cuStreamBeginCapture(CUstream handle, CUstreamCaptureMode mode) {
  EMULATED_STREAM_CALL(cuStreamBeginCapture, CUDA_ERROR_UNKNOWN, handle);
  const std::lock_guard guard(driver().mutex);
  if (stream == stream->context->default_stream) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (stream->capture != CU_STREAM_CAPTURE_STATUS_NONE) return CUDA_ERROR_ILLEGAL_STATE;
  stream->capture = CU_STREAM_CAPTURE_STATUS_ACTIVE;
  stream->capture_mode = mode;
  stream->capturing = std::this_thread::get_id();
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuStreamEndCapture(CUstream handle, CUgraph* graph) {
  EMULATED_STREAM_CALL(cuStreamEndCapture, CUDA_ERROR_UNKNOWN, handle);
  const std::lock_guard guard(driver().mutex);
  if (stream->capture == CU_STREAM_CAPTURE_STATUS_NONE) return CUDA_ERROR_ILLEGAL_STATE;
  const CUstreamCaptureStatus status = std::exchange(stream->capture, CU_STREAM_CAPTURE_STATUS_NONE);
  *graph = nullptr;
  return status == CU_STREAM_CAPTURE_STATUS_ACTIVE ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
}

EMULATED CUresult CUDAAPI cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus* status) {
  EMULATED_STREAM_CALL(cuStreamIsCapturing, CUDA_ERROR_UNKNOWN, handle);
  const std::lock_guard guard(driver().mutex);
  *status = stream->capture;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode* mode) {
  EMULATED_CALL(cuThreadExchangeStreamCaptureMode, CUDA_ERROR_UNKNOWN);
  std::swap(*mode, mode_of_thread);
  return CUDA_SUCCESS;
}
