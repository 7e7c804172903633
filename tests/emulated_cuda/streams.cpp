// SPDX-License-Identifier: BSD-3-Clause
// Streams and events.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "emulator.hpp"

struct CUevent_st {
  emulated::StreamPointer stream;  ///< null before it is recorded
  std::uint64_t count = 0;
};
struct CUstream_st {
  emulated::StreamPointer stream;
};

namespace emulated {
namespace {

bool is_default(CUstream handle) {
  return handle == nullptr || handle == CU_STREAM_LEGACY;
}

/// What a new operation of `stream` waits for: the default stream and blocking ones wait for each other. With
/// the mutex held.
std::vector<CUevent_st> waits_of(Driver& d, const StreamPointer& stream) {
  std::vector<CUevent_st> waits;
  if (stream == d.default_stream) {
    for (const StreamPointer& other : d.streams)
      if (other->blocking) waits.push_back({other, other->submitted});
  } else if (stream->blocking) {
    waits.push_back({d.default_stream, d.default_stream->submitted});
  }
  return waits;
}

void work(const StreamPointer& stream) {
  Driver& d = driver();
  std::unique_lock lock(d.mutex);
  while (!stream->operations.empty()) {
    const std::function<void()> operation = std::move(stream->operations.front());
    stream->operations.pop_front();
    lock.unlock();
    dawdle();
    operation();
    lock.lock();
    ++stream->completed;
    d.changed.notify_all();
  }
  stream->running = false;
}

}  // namespace

void dawdle() {
  Driver& d = driver();
  std::uint64_t pause = 0;
  {
    const std::lock_guard guard(d.mutex);
    if (d.delay > 0) pause = d.random() % d.delay;
  }
  if (pause > 0) ::usleep(static_cast<useconds_t>(pause));
}

StreamPointer stream_of(CUstream handle) {
  return is_default(handle) || handle == CU_STREAM_PER_THREAD ? driver().default_stream : handle->stream;
}

std::uint64_t submit(const StreamPointer& stream, std::function<void()> operation) {
  Driver& d = driver();
  const std::lock_guard guard(d.mutex);
  std::vector<CUevent_st> waits = waits_of(d, stream);
  stream->operations.emplace_back([waits = std::move(waits), operation = std::move(operation)] {
    for (const CUevent_st& wait : waits) await(wait.stream, wait.count);
    operation();
  });
  ++stream->submitted;
  if (!stream->running) {
    stream->running = true;
    std::thread(work, stream).detach();  // ends when there is nothing left to do, or with the process
  }
  return stream->submitted;
}

void await(const StreamPointer& stream, std::uint64_t count) {
  Driver& d = driver();
  std::unique_lock lock(d.mutex);
  d.changed.wait(lock, [&] { return stream->completed >= count; });
}

void await_all() {
  Driver& d = driver();
  std::vector<CUevent_st> ends;
  {
    const std::lock_guard guard(d.mutex);
    ends.push_back({d.default_stream, d.default_stream->submitted});
    for (const StreamPointer& stream : d.streams) ends.push_back({stream, stream->submitted});
  }
  for (const CUevent_st& end : ends) await(end.stream, end.count);
}

}  // namespace emulated

using namespace emulated;

namespace {

CUresult make_stream(CUstream* result, unsigned int flags) {
  if (current() == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  auto stream = std::make_shared<Stream>();
  stream->context = current();
  stream->blocking = (flags & CU_STREAM_NON_BLOCKING) == 0;
  const std::lock_guard guard(driver().mutex);
  driver().streams.push_back(stream);
  *result = std::make_unique<CUstream_st>(CUstream_st{stream}).release();
  return CUDA_SUCCESS;
}

CUresult outcome(bool done) {
  const std::lock_guard guard(driver().mutex);
  if (driver().error != CUDA_SUCCESS) return driver().error;
  return done ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

bool is_done(const StreamPointer& stream, std::uint64_t count) {
  const std::lock_guard guard(driver().mutex);
  return stream == nullptr || stream->completed >= count;
}

std::uint64_t end_of(const StreamPointer& stream) {
  const std::lock_guard guard(driver().mutex);
  return stream->submitted;
}

bool satisfied(std::uint32_t found, std::uint32_t wanted, unsigned int flags) {
  switch (flags & 3U) {
    case CU_STREAM_WAIT_VALUE_GEQ:
      return static_cast<std::int32_t>(found - wanted) >= 0;
    case CU_STREAM_WAIT_VALUE_EQ:
      return found == wanted;
    case CU_STREAM_WAIT_VALUE_AND:
      return (found & wanted) != 0;
    default:
      return (~(found | wanted)) != 0;
  }
}

std::uint32_t* word_at(CUdeviceptr address) {
  const std::lock_guard guard(driver().mutex);
  std::byte* const word = driver().resolve(address, sizeof(std::uint32_t), true);
  if (word == nullptr) driver().illegal("a word of a stream");
  return reinterpret_cast<std::uint32_t*>(word);
}

}  // namespace

EMULATED CUresult CUDAAPI cuStreamCreate(CUstream* result, unsigned int flags) {
  EMULATED_CALL(cuStreamCreate, CUDA_ERROR_OUT_OF_MEMORY);
  return make_stream(result, flags);
}

EMULATED CUresult CUDAAPI cuStreamCreateWithPriority(CUstream* result, unsigned int flags, int) {
  EMULATED_CALL(cuStreamCreateWithPriority, CUDA_ERROR_OUT_OF_MEMORY);
  return make_stream(result, flags);
}

EMULATED CUresult CUDAAPI cuStreamDestroy(CUstream handle) {
  EMULATED_CALL(cuStreamDestroy, CUDA_ERROR_UNKNOWN);
  const std::unique_ptr<CUstream_st> owner(handle);
  const std::lock_guard guard(driver().mutex);
  std::erase(driver().streams, handle->stream);  // what it has to do goes on
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuStreamGetCtx(CUstream handle, CUcontext* context) {
  EMULATED_CALL(cuStreamGetCtx, CUDA_ERROR_UNKNOWN);
  *context = is_default(handle) || handle == CU_STREAM_PER_THREAD ? current() : handle->stream->context;
  return *context != nullptr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

EMULATED CUresult CUDAAPI cuStreamQuery(CUstream handle) {
  EMULATED_CALL(cuStreamQuery, CUDA_ERROR_UNKNOWN);
  const StreamPointer stream = stream_of(handle);
  return outcome(is_done(stream, end_of(stream)));
}

EMULATED CUresult CUDAAPI cuStreamSynchronize(CUstream handle) {
  EMULATED_CALL(cuStreamSynchronize, CUDA_ERROR_UNKNOWN);
  const StreamPointer stream = stream_of(handle);
  await(stream, end_of(stream));
  return outcome(true);
}

EMULATED CUresult CUDAAPI cuStreamWaitEvent(CUstream handle, CUevent event, unsigned int) {
  EMULATED_CALL(cuStreamWaitEvent, CUDA_ERROR_UNKNOWN);
  if (event->stream == nullptr) return CUDA_SUCCESS;
  submit(stream_of(handle), [wait = *event] { await(wait.stream, wait.count); });
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuStreamWaitValue32(CUstream handle, CUdeviceptr address, cuuint32_t value,
                                              unsigned int flags) {
  EMULATED_CALL(cuStreamWaitValue32, CUDA_ERROR_NOT_SUPPORTED);
  submit(stream_of(handle), [=] {
    std::uint32_t* const word = word_at(address);
    while (word != nullptr && !satisfied(__atomic_load_n(word, __ATOMIC_ACQUIRE), value, flags)) ::usleep(20);
  });
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuStreamWriteValue32(CUstream handle, CUdeviceptr address, cuuint32_t value,
                                               unsigned int) {
  EMULATED_CALL(cuStreamWriteValue32, CUDA_ERROR_NOT_SUPPORTED);
  submit(stream_of(handle), [=] {
    if (std::uint32_t* const word = word_at(address)) __atomic_store_n(word, value, __ATOMIC_RELEASE);
  });
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuLaunchHostFunc(CUstream handle, CUhostFn function, void* data) {
  EMULATED_CALL(cuLaunchHostFunc, CUDA_ERROR_UNKNOWN);
  submit(stream_of(handle), [=] { function(data); });
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuEventCreate(CUevent* result, unsigned int) {
  EMULATED_CALL(cuEventCreate, CUDA_ERROR_OUT_OF_MEMORY);
  if (current() == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  *result = std::make_unique<CUevent_st>().release();
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuEventDestroy(CUevent event) {
  EMULATED_CALL(cuEventDestroy, CUDA_ERROR_UNKNOWN);
  const std::unique_ptr<CUevent_st> owner(event);
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuEventRecord(CUevent event, CUstream handle) {
  EMULATED_CALL(cuEventRecord, CUDA_ERROR_UNKNOWN);
  const StreamPointer stream = stream_of(handle);
  // The default stream comes to an event only after the others.
  event->count = stream == driver().default_stream ? submit(stream, [] {}) : end_of(stream);
  event->stream = stream;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuEventQuery(CUevent event) {
  EMULATED_CALL(cuEventQuery, CUDA_ERROR_UNKNOWN);
  return outcome(is_done(event->stream, event->count));
}

EMULATED CUresult CUDAAPI cuEventSynchronize(CUevent event) {
  EMULATED_CALL(cuEventSynchronize, CUDA_ERROR_UNKNOWN);
  if (event->stream != nullptr) await(event->stream, event->count);
  return outcome(true);
}

EMULATED CUresult CUDAAPI cuEventElapsedTime(float* milliseconds, CUevent, CUevent) {
  EMULATED_CALL(cuEventElapsedTime, CUDA_ERROR_UNKNOWN);
  *milliseconds = 1;  // of nothing
  return CUDA_SUCCESS;
}
