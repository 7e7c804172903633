// SPDX-License-Identifier: BSD-3-Clause
/// What applications do with MPI alone: pack by hand, or derived datatypes; and the bare MPI_Alltoallv.
#include <utility>

#include "benchmarks/common/methods.hpp"
#include "benchmarks/common/movement.hpp"

namespace mpix::bench {
namespace {

/// MPI_Alltoallv on the bytes of both sides, wherever they lie.
class Alltoallv : public Method {
 public:
  Alltoallv(MPI_Comm comm, std::byte* send, VArguments send_args, std::byte* recv, VArguments recv_args)
      : comm_(comm),
        send_(send),
        recv_(recv),
        send_args_(std::move(send_args)),
        recv_args_(std::move(recv_args)) {}

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

/// One side of what a careful application does: data that lies ready for the MPI is neither packed nor
/// unpacked.
class PackedSide {
 public:
  enum class Role { sends, receives };
  PackedSide(const Side& side, const Buffer& buffer, const Buffer& flat, Role role) : buffer_(buffer) {
    auto ready = make_in_place(side);
    arguments_ = ready ? std::move(*ready) : make_contiguous(side);
    memory_ = make_mpi_memory(ready ? buffer : flat);
    if (ready) return;
    movement_ = role == Role::sends ? make_gather(side, buffer, flat) : make_scatter(side, flat, buffer);
  }
  std::byte* data() const { return memory_->data(); }
  const VArguments& arguments() const { return arguments_; }

  void before_mpi() const {
    if (movement_ != nullptr) movement_->run();
    memory_->give(arguments_);
  }
  void after_mpi() const {
    memory_->take(arguments_);
    if (movement_ != nullptr) movement_->run();
    settle(buffer_);
  }

 private:
  const Buffer& buffer_;
  VArguments arguments_;
  std::unique_ptr<MpiMemory> memory_;
  std::unique_ptr<Movement> movement_;  ///< none where the data lies ready
};

class Packed : public Method {
 public:
  Packed(const Exchange& exchange, const Buffers& buffers)
      : send_(exchange.send, buffers.send, buffers.packed_send, PackedSide::Role::sends),
        recv_(exchange.recv, buffers.recv, buffers.packed_recv, PackedSide::Role::receives),
        exchange_(exchange.comm, send_.data(), send_.arguments(), recv_.data(), recv_.arguments()) {}

  const char* name() const override { return "packed"; }

  void run() override {
    send_.before_mpi();
    exchange_.run();
    finish();
  }
  MPI_Request start() override {
    send_.before_mpi();
    return exchange_.start();
  }
  void finish() override { recv_.after_mpi(); }

 private:
  PackedSide send_, recv_;
  Alltoallv exchange_;
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
  return std::make_unique<Alltoallv>(exchange.comm, buffers.packed_send.data(),
                                     make_contiguous(exchange.send), buffers.packed_recv.data(),
                                     make_contiguous(exchange.recv));
}

}  // namespace mpix::bench
