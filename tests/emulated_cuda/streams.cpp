// SPDX-License-Identifier: BSD-3-Clause
// Streams.
#include <unistd.h>

#include "emulator.hpp"

namespace emulated {
namespace {

/// What a new operation of `stream` waits for: the default stream and blocking ones wait for each other. With
/// the mutex held.
std::vector<Point> waits_of(const StreamPointer& stream) {
  std::vector<Point> waits;
  const StreamPointer& ordinary = stream->context->default_stream;
  if (stream == ordinary) {
    for (const StreamPointer& other : driver().streams)
      if (other->blocking && other != stream && other->context == stream->context)
        waits.push_back({other, other->submitted});
  } else if (stream->blocking) {
    waits.push_back({ordinary, ordinary->submitted});
  }
  std::erase_if(waits, [](const Point& wait) { return wait.stream->completed >= wait.count; });
  return waits;
}

void dawdle() {
  Driver& d = driver();
  std::uint64_t pause = 0;
  {
    const std::lock_guard guard(d.mutex);
    if (d.delay > 0) pause = d.random() % d.delay;
  }
  if (pause > 0) ::usleep(static_cast<useconds_t>(pause));
}

void perform(const Operation& operation) {
  if (!operation.prompt) dawdle();
  for (const Point& wait : operation.waits) await(wait.stream, wait.count);
  if (usable(working()) == CUDA_SUCCESS) operation.work();
}

void work(const StreamPointer& stream) {
  Driver& d = driver();
  working() = stream->context;
  std::unique_lock lock(d.mutex);
  while (!stream->operations.empty()) {
    {
      const Operation operation = std::move(stream->operations.front());
      stream->operations.pop_front();
      lock.unlock();
      perform(operation);
    }
    lock.lock();
    ++stream->completed;
    d.changed.notify_all();
  }
  stream->running = false;
}

bool is_default(CUstream handle) {
  return handle == nullptr || handle == CU_STREAM_LEGACY;
}

/// With the mutex held.
StreamPointer stream_of_thread(CUcontext context) {
  StreamPointer& stream = driver().thread_streams[{std::this_thread::get_id(), context}];
  if (stream == nullptr) stream = make_stream(context, true);
  return stream;
}

}  // namespace

StreamPointer make_stream(CUcontext context, bool blocking) {
  auto& streams = driver().streams;
  std::erase_if(streams, [](const StreamPointer& s) { return s->destroyed && s->completed == s->submitted; });
  streams.push_back(std::make_shared<CUstream_st>());
  streams.back()->context = context;
  streams.back()->blocking = blocking;
  return streams.back();
}

CUresult find_stream(CUstream handle, StreamPointer& stream) {
  if (is_default(handle) || handle == CU_STREAM_PER_THREAD) {
    EMULATED_RETURN_IF(usable(current()));
    const std::lock_guard guard(driver().mutex);
    stream = is_default(handle) ? current()->default_stream : stream_of_thread(current());
    return CUDA_SUCCESS;
  }
  {
    const std::lock_guard guard(driver().mutex);
    for (const StreamPointer& known : driver().streams)
      if (known.get() == handle && !known->destroyed) stream = known;
  }
  return stream == nullptr ? CUDA_ERROR_INVALID_HANDLE : usable(stream->context);
}

std::uint64_t submit(const StreamPointer& stream, std::function<void()> what, bool prompt) {
  const std::lock_guard guard(driver().mutex);
  if (stream->capture != CU_STREAM_CAPTURE_STATUS_NONE)
    return stream->submitted;  // for a graph that is never run
  stream->operations.push_back({std::move(what), waits_of(stream), prompt});
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

void await_all(CUcontext context) {
  std::vector<Point> ends;
  {
    const std::lock_guard guard(driver().mutex);
    for (const StreamPointer& stream : driver().streams)
      if (context == nullptr || stream->context == context) ends.push_back({stream, stream->submitted});
  }
  for (const Point& end : ends) await(end.stream, end.count);
}

CUresult outcome(const StreamPointer& stream, bool done) {
  EMULATED_RETURN_IF(usable(stream->context));
  return done ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

}  // namespace emulated

using namespace emulated;

namespace {

CUresult create(CUstream* result, unsigned int flags) {
  if (result == nullptr || (flags & ~static_cast<unsigned>(CU_STREAM_NON_BLOCKING)) != 0)
    return CUDA_ERROR_INVALID_VALUE;
  const std::lock_guard guard(driver().mutex);
  *result = make_stream(current(), (flags & CU_STREAM_NON_BLOCKING) == 0).get();
  return CUDA_SUCCESS;
}

std::uint64_t end_of(const StreamPointer& stream) {
  const std::lock_guard guard(driver().mutex);
  return stream->submitted;
}

}  // namespace

EMULATED CUresult CUDAAPI cuStreamCreate(CUstream* result, unsigned int flags) {
  EMULATED_CONTEXT_CALL(cuStreamCreate, CUDA_ERROR_OUT_OF_MEMORY);
  return create(result, flags);
}

EMULATED CUresult CUDAAPI cuStreamCreateWithPriority(CUstream* result, unsigned int flags, int) {
  EMULATED_CONTEXT_CALL(cuStreamCreateWithPriority, CUDA_ERROR_OUT_OF_MEMORY);
  return create(result, flags);
}

/// What the stream has to do goes on.
EMULATED CUresult CUDAAPI cuStreamDestroy(CUstream handle) {
  EMULATED_STREAM_CALL(cuStreamDestroy, CUDA_ERROR_UNKNOWN, handle);
  if (is_default(handle) || handle == CU_STREAM_PER_THREAD) return CUDA_ERROR_INVALID_HANDLE;
  const std::lock_guard guard(driver().mutex);
  stream->destroyed = true;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuStreamGetCtx(CUstream handle, CUcontext* context) {
  EMULATED_STREAM_CALL(cuStreamGetCtx, CUDA_ERROR_UNKNOWN, handle);
  *context = stream->context;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuStreamGetFlags(CUstream handle, unsigned int* flags) {
  EMULATED_STREAM_CALL(cuStreamGetFlags, CUDA_ERROR_UNKNOWN, handle);
  *flags = stream->blocking ? CU_STREAM_DEFAULT : CU_STREAM_NON_BLOCKING;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuStreamQuery(CUstream handle) {
  EMULATED_STREAM_CALL(cuStreamQuery, CUDA_ERROR_UNKNOWN, handle);
  EMULATED_RETURN_IF(unless_captured());
  bool done = false;
  {
    const std::lock_guard guard(driver().mutex);
    done = stream->completed == stream->submitted && waits_of(stream).empty();
  }
  return outcome(stream, done);
}

EMULATED CUresult CUDAAPI cuStreamSynchronize(CUstream handle) {
  EMULATED_STREAM_CALL(cuStreamSynchronize, CUDA_ERROR_UNKNOWN, handle);
  EMULATED_RETURN_IF(unless_captured());
  // The default stream ends only after the others.
  await(stream, is_default(handle) ? submit(
                                         stream, [] {}, true)
                                   : end_of(stream));
  return outcome(stream, true);
}

EMULATED CUresult CUDAAPI cuLaunchHostFunc(CUstream handle, CUhostFn function, void* data) {
  EMULATED_STREAM_CALL(cuLaunchHostFunc, CUDA_ERROR_UNKNOWN, handle);
  if (function == nullptr) return CUDA_ERROR_INVALID_VALUE;
  submit(stream, [=] {
    in_host_function() = true;
    function(data);
    in_host_function() = false;
  });
  return CUDA_SUCCESS;
}
