// SPDX-License-Identifier: BSD-3-Clause
#include "device/cuda/streams.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iterator>
#include <string_view>
#include <thread>
#include <utility>

#include "base/log.hpp"

namespace mpix::device::cuda {
namespace {

constexpr std::size_t kPage = 4096;
/// A word has a cache line to itself.
constexpr std::size_t kLine = 64;
/// How long the end waits for streams to pass what was released.
constexpr std::chrono::seconds kLastWait{1};

/// The context of `stream`, which is not under capture: what it is given would be done each time that the
/// graph is run, but the exchange only once.
CudaContextPointer context_of(Contexts& contexts, CUstream stream) {
  CudaContextPointer context = contexts.of_stream(stream);
  const CudaDriver& driver = context->driver();
  if (driver.cuStreamIsCapturing == nullptr) return context;
  const CudaScope scope(*context);
  cuda_check(driver, scope.result(), "cuCtxPushCurrent");
  CUstreamCaptureStatus capture = CU_STREAM_CAPTURE_STATUS_NONE;
  const CUresult result = driver.cuStreamIsCapturing(stream, &capture);
  if (capture != CU_STREAM_CAPTURE_STATUS_NONE || result == CUDA_ERROR_STREAM_CAPTURE_IMPLICIT)
    throw Error(Code::argument, "the CUDA stream is under capture: an exchange cannot be part of a graph");
  cuda_check(driver, result, "cuStreamIsCapturing");
  return context;
}

CudaEvent record(const CudaContextPointer& context, CUstream stream) {
  CudaEvent event = create_cuda_event(context);
  const CudaScope scope(*context);
  cuda_check(context->driver(), scope.result(), "cuCtxPushCurrent");
  cuda_check(context->driver(), context->driver().cuEventRecord(event.get(), stream), "cuEventRecord");
  return event;
}

CUresult query(const CudaEvent& event) noexcept {
  const CudaContext& context = *event.context();
  const CudaScope scope(context);
  return scope.result() == CUDA_SUCCESS ? context.driver().cuEventQuery(event.get()) : scope.result();
}

class StreamMark : public Mark {
 public:
  explicit StreamMark(CudaEvent event) noexcept : event_(std::move(event)) {}
  bool reached(Status& status) noexcept override {
    const CUresult result = query(event_);
    if (result == CUDA_SUCCESS) return true;
    if (result != CUDA_ERROR_NOT_READY)
      status = cuda_status(event_.context()->driver(), result, "a stream of the application");
    return false;
  }

 private:
  CudaEvent event_;
};

class StreamHold : public Hold {
 public:
  StreamHold(std::shared_ptr<Gate> gate, std::shared_ptr<Disposal> disposal) noexcept
      : gate_(std::move(gate)), disposal_(std::move(disposal)) {
    disposal_->hold();
  }
  StreamHold(const StreamHold&) = delete;
  StreamHold& operator=(const StreamHold&) = delete;
  ~StreamHold() override { StreamHold::release(); }
  void release() noexcept override {
    if (released_.exchange(true)) return;
    gate_->release();
    disposal_->release();
  }

 private:
  std::shared_ptr<Gate> gate_;
  std::shared_ptr<Disposal> disposal_;
  std::atomic<bool> released_ = false;
};

/// The driver's loading of a kernel may wait for the stream that waits for the library, and the library's
/// copies for the loading.
void warn_of_lazy_loading() {
  const char* const loading = std::getenv("CUDA_MODULE_LOADING");
  if (loading == nullptr || std::string_view(loading) != "EAGER")
    log::info(
        "a stream waits for an exchange: with CUDA_MODULE_LOADING=EAGER, kernels that the application "
        "launches meanwhile for the first time cannot hold up both");
}

/// In a thread of the driver.
void wait_for_gate(void* gate) {
  static_cast<Gate*>(gate)->open.wait(0);
}

}  // namespace

std::unique_ptr<Mark> make_mark(Contexts& contexts, CUstream stream) {
  return std::make_unique<StreamMark>(record(context_of(contexts, stream), stream));
}

void Gate::release() noexcept {
  if (open.exchange(1) != 0) return;  // the word may be another gate's by now
  open.notify_all();
  if (word != nullptr && context->alive()) std::atomic_ref(*word).store(1, std::memory_order_release);
}

std::uint32_t* Words::take(const CudaContextPointer& context) {
  auto page = std::find_if(pages_.begin(), pages_.end(),
                           [&](const Page& p) { return p.memory.context() == context && !p.free.empty(); });
  if (page == pages_.end()) {
    pages_.push_back({allocate_cuda_pinned(context, kPage), {}});
    page = std::prev(pages_.end());
    auto* const start = static_cast<std::byte*>(page->memory.get());
    for (std::size_t at = 0; at < kPage; at += kLine)
      page->free.push_back(reinterpret_cast<std::uint32_t*>(start + at));
  }
  std::uint32_t* const word = page->free.back();
  page->free.pop_back();
  return word;
}

void Words::give(const CudaContextPointer& context, std::uint32_t* word) noexcept {
  for (Page& page : pages_) {
    auto* const start = static_cast<std::byte*>(page.memory.get());
    auto* const place = reinterpret_cast<std::byte*>(word);
    // There is capacity for all words of the page.
    if (page.memory.context() == context && place >= start && place < start + kPage)
      page.free.push_back(word);
  }
}

bool Holds::wait_value(CUstream stream, Gate& gate) {
  const CudaDriver& driver = contexts_.driver();
  if (driver.cuStreamWaitValue32 == nullptr) return false;
  gate.word = words_.take(gate.context);
  *gate.word = 0;
  CUdeviceptr place = 0;
  CUresult result = driver.cuMemHostGetDevicePointer(&place, gate.word, 0);
  if (result == CUDA_SUCCESS) result = driver.cuStreamWaitValue32(stream, place, 1, CU_STREAM_WAIT_VALUE_GEQ);
  if (result == CUDA_SUCCESS) return true;
  words_.give(gate.context, std::exchange(gate.word, nullptr));
  if (result == CUDA_ERROR_NOT_SUPPORTED) return false;
  cuda_check(driver, result, "cuStreamWaitValue32");
  return false;
}

void Holds::place(CUstream stream, Gate& gate) {
  const CudaDriver& driver = contexts_.driver();
  const CudaScope scope(*gate.context);
  cuda_check(driver, scope.result(), "cuCtxPushCurrent");
  if (wait_value(stream, gate)) return;
  if (driver.cuLaunchHostFunc == nullptr)
    throw Error(Code::internal, "this CUDA driver cannot make a stream wait");
  cuda_check(driver, driver.cuLaunchHostFunc(stream, wait_for_gate, &gate), "cuLaunchHostFunc");
}

std::unique_ptr<Hold> Holds::hold(CUstream stream) {
  static std::once_flag once;
  std::call_once(once, warn_of_lazy_loading);
  reap();
  auto gate = std::make_shared<Gate>();
  gate->context = context_of(contexts_, stream);
  auto hold = std::make_unique<StreamHold>(gate, disposal_);  // lets the stream go where what follows throws
  const std::lock_guard guard(mutex_);
  Passing& passing = passing_.emplace_back(Passing{gate, {}});
  try {
    place(stream, *gate);
  } catch (...) {
    passing_.pop_back();
    throw;
  }
  passing.passed = record(gate->context, stream);
  return hold;
}

void Holds::reap() noexcept {
  const std::lock_guard guard(mutex_);
  for (auto at = passing_.begin(); at != passing_.end();) {
    // Without an event, or in a context that failed, nobody knows: kept.
    if (at->passed.get() == nullptr || query(at->passed) != CUDA_SUCCESS) {
      ++at;
      continue;
    }
    if (at->gate->word != nullptr) words_.give(at->gate->context, at->gate->word);
    at = passing_.erase(at);
  }
}

void Holds::open_all() noexcept {
  const std::lock_guard guard(mutex_);
  for (const Passing& passing : passing_) passing.gate->release();
}

Holds::~Holds() {
  open_all();
  const auto end = std::chrono::steady_clock::now() + kLastWait;
  const auto passes = [](const Passing& p) {
    return p.passed.get() != nullptr && query(p.passed) == CUDA_ERROR_NOT_READY;
  };
  while (std::any_of(passing_.begin(), passing_.end(), passes) && std::chrono::steady_clock::now() < end)
    std::this_thread::yield();
  reap();
  if (passing_.empty()) return;
  // Streams that have yet to come to their gate read it then, whenever that is.
  auto left = std::make_unique<std::pair<std::list<Passing>, Words>>(std::move(passing_), std::move(words_));
  left.release();  // NOLINT(bugprone-unused-return-value): stays for ever
}

}  // namespace mpix::device::cuda
