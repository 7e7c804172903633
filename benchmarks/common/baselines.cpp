// SPDX-License-Identifier: BSD-3-Clause
/// What applications do with MPI alone: pack by hand, or derived datatypes; and the bare MPI_Alltoallv.
#include <cstring>
#include <utility>

#include "benchmarks/common/methods.hpp"

namespace mpix::bench {
namespace {

void gather(const Side& side, const std::byte* base, std::byte* out) {
  for_each_run(side, [&](int, std::int64_t offset, std::int64_t length) {
    std::memcpy(out, base + offset, static_cast<std::size_t>(length));
    out += length;
  });
}

void scatter(const Side& side, std::byte* base, const std::byte* in) {
  for_each_run(side, [&](int, std::int64_t offset, std::int64_t length) {
    std::memcpy(base + offset, in, static_cast<std::size_t>(length));
    in += length;
  });
}

/// MPI_Alltoallv on the bytes of both sides, wherever they lie.
class Alltoallv : public Method {
 public:
  const char* name() const override { return "alltoallv"; }
  bool delivers() const override { return false; }

  Alltoallv(const Exchange& exchange, const Buffers& buffers)
      : comm_(exchange.comm),
        send_(buffers.packed_send.data()),
        recv_(buffers.packed_recv.data()),
        send_args_(make_contiguous(exchange.send)),
        recv_args_(make_contiguous(exchange.recv)) {}

  void run() override {
    check(MPI_Alltoallv(send_, send_args_.counts.data(), send_args_.displs.data(), MPI_BYTE, recv_,
                        recv_args_.counts.data(), recv_args_.displs.data(), MPI_BYTE, comm_),
          "MPI_Alltoallv");
  }

  MPI_Request start() override {
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Ialltoallv(send_, send_args_.counts.data(), send_args_.displs.data(), MPI_BYTE, recv_,
                         recv_args_.counts.data(), recv_args_.displs.data(), MPI_BYTE, comm_, &request),
          "MPI_Ialltoallv");
    return request;
  }

 protected:
  void send_from(std::byte* base, VArguments arguments) {
    send_ = base;
    send_args_ = std::move(arguments);
  }
  void receive_into(std::byte* base, VArguments arguments) {
    recv_ = base;
    recv_args_ = std::move(arguments);
  }

 private:
  MPI_Comm comm_;
  std::byte* send_;
  std::byte* recv_;
  VArguments send_args_;
  VArguments recv_args_;
};

/// As a careful application does it: a side whose data lies ready for MPI is neither packed nor unpacked.
class Packed : public Alltoallv {
 public:
  Packed(const Exchange& exchange, const Buffers& buffers)
      : Alltoallv(exchange, buffers), exchange_(exchange), buffers_(buffers) {
    if (auto ready = make_in_place(exchange.send)) {
      gathers_ = false;
      send_from(buffers.send.data(), std::move(*ready));
    }
    if (auto ready = make_in_place(exchange.recv)) {
      scatters_ = false;
      receive_into(buffers.recv.data(), std::move(*ready));
    }
  }

  const char* name() const override { return "packed"; }
  bool delivers() const override { return true; }

  void run() override {
    prepare();
    Alltoallv::run();
    finish();
  }

  MPI_Request start() override {
    prepare();
    return Alltoallv::start();
  }

  void finish() override {
    if (scatters_) scatter(exchange_.recv, buffers_.recv.data(), buffers_.packed_recv.data());
  }

 private:
  void prepare() {
    if (gathers_) gather(exchange_.send, buffers_.send.data(), buffers_.packed_send.data());
  }

  const Exchange& exchange_;
  const Buffers& buffers_;
  bool gathers_ = true;
  bool scatters_ = true;
};

class Datatypes : public Method {
 public:
  Datatypes(const Exchange& exchange, const Buffers& buffers)
      : comm_(exchange.comm),
        send_(buffers.send.data()),
        recv_(buffers.recv.data()),
        send_args_(make_datatypes(exchange.send)),
        recv_args_(make_datatypes(exchange.recv)) {}

  const char* name() const override { return "datatypes"; }

  void run() override {
    check(MPI_Alltoallw(send_, send_args_.counts.data(), send_args_.displs.data(), send_args_.types.data(),
                        recv_, recv_args_.counts.data(), recv_args_.displs.data(), recv_args_.types.data(),
                        comm_),
          "MPI_Alltoallw");
  }

  MPI_Request start() override {
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Ialltoallw(send_, send_args_.counts.data(), send_args_.displs.data(), send_args_.types.data(),
                         recv_, recv_args_.counts.data(), recv_args_.displs.data(), recv_args_.types.data(),
                         comm_, &request),
          "MPI_Ialltoallw");
    return request;
  }

 private:
  MPI_Comm comm_;
  std::byte* send_;
  std::byte* recv_;
  WArguments send_args_;
  WArguments recv_args_;
};

}  // namespace

std::unique_ptr<Method> make_packed(const Exchange& exchange, const Buffers& buffers) {
  return std::make_unique<Packed>(exchange, buffers);
}

std::unique_ptr<Method> make_datatypes_method(const Exchange& exchange, const Buffers& buffers) {
  return std::make_unique<Datatypes>(exchange, buffers);
}

std::unique_ptr<Method> make_alltoallv(const Exchange& exchange, const Buffers& buffers) {
  return std::make_unique<Alltoallv>(exchange, buffers);
}

}  // namespace mpix::bench
