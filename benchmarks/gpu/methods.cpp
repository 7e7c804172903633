// SPDX-License-Identifier: BSD-3-Clause
/// Baselines that only a GPU has.
#include "benchmarks/gpu/chosen.hpp"
#include "benchmarks/gpu/gpu.hpp"

namespace mpix::bench::gpu {
namespace {

/// A method that is over when it returns.
class Blocking : public Method {
 public:
  MPI_Request start() override {
    run();
    return MPI_REQUEST_NULL;
  }
  void run() override {
    translated([&] { exchange(); });
  }

 private:
  virtual void exchange() = 0;
};

class Ipc final : public Blocking {
 public:
  Ipc(const Exchange& exchange, const Buffers& buffers)
      : comm_(exchange.comm),
        received_(buffers.packed_recv.data()),
        gather_(make_packing(exchange.send, buffers.send, buffers.packed_send, true)),
        scatter_(make_packing(exchange.recv, buffers.recv, buffers.packed_recv, false)),
        recv_(make_contiguous(exchange.recv)) {
    check_one_node();
    const VArguments send = make_contiguous(exchange.send);
    const auto peers = send.displs.size();
    from_.resize(peers);
    check(MPI_Alltoall(send.displs.data(), 1, MPI_INT, from_.data(), 1, MPI_INT, comm_), "MPI_Alltoall");
    const CUipcMemHandle mine = device().export_memory(address(buffers.packed_send.data()));
    std::vector<CUipcMemHandle> handles(peers);
    check(MPI_Allgather(&mine, sizeof mine, MPI_BYTE, handles.data(), sizeof mine, MPI_BYTE, comm_),
          "MPI_Allgather");
    for (std::size_t p = 0; p < peers; ++p) {
      const bool own = static_cast<int>(p) == comm_rank(comm_);
      if (!own) mappings_.push_back(device().import_memory(handles[p]));
      bases_.push_back(own ? address(buffers.packed_send.data()) : mappings_.back().get());
    }
  }
  ~Ipc() override {
    mappings_.clear();
    check_noexcept(MPI_Barrier(comm_), "MPI_Barrier");  // before anybody frees what others have mapped
  }
  const char* name() const override { return "ipc"; }

 private:
  void check_one_node() const {
    Comm node;
    check(MPI_Comm_split_type(comm_, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, node.out()),
          "MPI_Comm_split_type");
    if (comm_size(node.get()) != comm_size(comm_))
      throw bench::Error("--baseline ipc: all ranks must be on one node");
  }
  void exchange() override {
    gather_->run();
    device().synchronize();
    check(MPI_Barrier(comm_), "MPI_Barrier");
    for (std::size_t p = 0; p < bases_.size(); ++p)
      if (recv_.counts[p] > 0)
        device().copy(address(received_) + static_cast<CUdeviceptr>(recv_.displs[p]),
                      bases_[p] + static_cast<CUdeviceptr>(from_[p]), recv_.counts[p]);
    scatter_->run();
    device().synchronize();
    check(MPI_Barrier(comm_), "MPI_Barrier");
  }

  MPI_Comm comm_;
  std::byte* received_;
  std::unique_ptr<Movement> gather_, scatter_;
  VArguments recv_;
  std::vector<int> from_;  ///< where each peer has what it sends to this rank
  std::vector<CudaMapping> mappings_;
  std::vector<CUdeviceptr> bases_;
};

class Copy final : public Blocking {
 public:
  Copy(const Exchange& exchange, const Buffers& buffers)
      : to_(buffers.recv.data()), bytes_(total_bytes(exchange.recv)), from_(bytes_, Memory::cuda) {}
  const char* name() const override { return "copy"; }
  bool delivers() const override { return false; }

 private:
  void exchange() override {
    if (bytes_ > 0) device().copy(address(to_), address(from_.data()), bytes_);
    device().synchronize();
  }
  std::byte* to_;
  std::int64_t bytes_;
  Buffer from_;
};

}  // namespace

std::unique_ptr<Method> make_ipc(const Exchange& exchange, const Buffers& buffers) {
  return translated([&] { return std::make_unique<Ipc>(exchange, buffers); });
}
std::unique_ptr<Method> make_copy(const Exchange& exchange, const Buffers& buffers) {
  return std::make_unique<Copy>(exchange, buffers);
}

}  // namespace mpix::bench::gpu
