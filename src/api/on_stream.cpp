// SPDX-License-Identifier: BSD-3-Clause
#include "api/on_stream.hpp"

#include "api/process.hpp"
#include "api/progress.hpp"
#include "base/text.hpp"

namespace mpix::api {
namespace {

/// A hold whose exchange goes on by itself. An exchange that fails to start lets the stream go on too.
class AccompaniedHold final : public device::Hold {
 public:
  explicit AccompaniedHold(std::unique_ptr<device::Hold> hold) : hold_(std::move(hold)) {
    progress::accompany();
  }
  AccompaniedHold(const AccompaniedHold&) = delete;
  AccompaniedHold& operator=(const AccompaniedHold&) = delete;
  ~AccompaniedHold() override { release(); }

  void release() noexcept override {
    if (hold_ == nullptr) return;
    hold_->release();
    hold_.reset();
    progress::dismiss();
  }

 private:
  std::unique_ptr<device::Hold> hold_;
};

}  // namespace

engine::OnStream on_stream(void* cuda_stream) {
  Process& process = Process::get();
  if (process.gpus() == nullptr)
    throw Error(Code::argument, text("no exchange can follow a CUDA stream: ", process.gpus_absent()));
  engine::OnStream order;
  order.mark = process.gpus()->mark(cuda_stream);
  order.hold = std::make_unique<AccompaniedHold>(process.gpus()->hold(cuda_stream));
  return order;
}

}  // namespace mpix::api
