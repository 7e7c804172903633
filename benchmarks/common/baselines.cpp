// SPDX-License-Identifier: BSD-3-Clause
/// What applications do with MPI alone: pack by hand, or derived datatypes; and the bare MPI_Alltoallv.
#include <cstring>

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

class Contiguous : public Method {
 public:
  Contiguous(const Exchange& exchange, const Buffers& buffers)
      : comm_(exchange.comm),
        send_(buffers.packed_send.data()),
        recv_(buffers.packed_recv.data()),
        send_args_(make_contiguous(exchange.send)),
        recv_args_(make_contiguous(exchange.recv)) {}

  const char* name() const override { return "alltoallv"; }
  bool delivers() const override { return false; }

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

 private:
  MPI_Comm comm_;
  std::byte* send_;
  std::byte* recv_;
  VArguments send_args_;
  VArguments recv_args_;
};

class Packed : public Contiguous {
 public:
  Packed(const Exchange& exchange, const Buffers& buffers)
      : Contiguous(exchange, buffers), exchange_(exchange), buffers_(buffers) {}

  const char* name() const override { return "packed"; }
  bool delivers() const override { return true; }

  void run() override {
    gather(exchange_.send, buffers_.send.data(), buffers_.packed_send.data());
    Contiguous::run();
    finish();
  }

  MPI_Request start() override {
    gather(exchange_.send, buffers_.send.data(), buffers_.packed_send.data());
    return Contiguous::start();
  }

  void finish() override { scatter(exchange_.recv, buffers_.recv.data(), buffers_.packed_recv.data()); }

 private:
  const Exchange& exchange_;
  const Buffers& buffers_;
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
  return std::make_unique<Contiguous>(exchange, buffers);
}

}  // namespace mpix::bench
