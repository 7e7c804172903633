// SPDX-License-Identifier: BSD-3-Clause
/// MPIX_Alltoallv_layout, one-shot and planned.
#include "benchmarks/common/methods.hpp"

namespace mpix::bench {
namespace {

class OneShot : public Method {
 public:
  OneShot(const Exchange& exchange, const Buffers& buffers)
      : comm_(exchange.comm),
        send_(buffers.send.data()),
        recv_(buffers.recv.data()),
        started_(MPI_Wtime()),
        send_layout_(make_layout(exchange.send)),
        recv_layout_(make_layout(exchange.recv)),
        setup_seconds_(MPI_Wtime() - started_) {}

  const char* name() const override { return "layout"; }
  double setup_seconds() const override { return setup_seconds_; }

  void run() override {
    check(MPIX_Alltoallv_layout(send_, send_layout_.get(), recv_, recv_layout_.get(), comm_),
          "MPIX_Alltoallv_layout");
  }

  MPI_Request start() override {
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPIX_Ialltoallv_layout(send_, send_layout_.get(), recv_, recv_layout_.get(), comm_, &request),
          "MPIX_Ialltoallv_layout");
    return request;
  }

 private:
  MPI_Comm comm_;
  std::byte* send_;
  std::byte* recv_;
  double started_;
  Layout send_layout_;
  Layout recv_layout_;
  double setup_seconds_;
};

class Planned : public Method {
 public:
  Planned(const Exchange& exchange, const Buffers& buffers, MPI_Info info = MPI_INFO_NULL)
      : send_(buffers.send.data()), recv_(buffers.recv.data()) {
    const double started = MPI_Wtime();
    const Layout send_layout = make_layout(exchange.send);
    const Layout recv_layout = make_layout(exchange.recv);
    check(MPIX_Alltoallv_layout_init(send_layout.get(), recv_layout.get(), exchange.comm, info, plan_.out()),
          "MPIX_Alltoallv_layout_init");
    setup_seconds_ = MPI_Wtime() - started;
  }

  const char* name() const override { return "layout"; }
  double setup_seconds() const override { return setup_seconds_; }

  void run() override {
    MPI_Request request = start();
    check(MPI_Wait(&request, MPI_STATUS_IGNORE), "MPI_Wait");
  }

  MPI_Request start() override {
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPIX_Layout_plan_start(plan_.get(), send_, recv_, &request), "MPIX_Layout_plan_start");
    return request;
  }

 private:
  std::byte* send_;
  std::byte* recv_;
  Plan plan_;
  double setup_seconds_ = 0;
};

class Direct : public Planned {
 public:
  using Planned::Planned;
  const char* name() const override { return "direct"; }
  double setup_seconds() const override { return 0; }
};

}  // namespace

std::unique_ptr<Method> make_direct(const Exchange& exchange, const Buffers& buffers) {
  MPI_Info info = MPI_INFO_NULL;
  check(MPI_Info_create(&info), "MPI_Info_create");
  check(MPI_Info_set(info, "mpix_layout_route", "direct"), "MPI_Info_set");
  auto made = std::make_unique<Direct>(exchange, buffers, info);
  check(MPI_Info_free(&info), "MPI_Info_free");
  return made;
}

std::unique_ptr<Method> make_oneshot(const Exchange& exchange, const Buffers& buffers) {
  return std::make_unique<OneShot>(exchange, buffers);
}

std::unique_ptr<Method> make_plan(const Exchange& exchange, const Buffers& buffers) {
  return std::make_unique<Planned>(exchange, buffers);
}

}  // namespace mpix::bench
