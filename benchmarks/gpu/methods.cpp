// SPDX-License-Identifier: BSD-3-Clause
/// Baselines on a GPU. Their gathers and scatters are the library's kernel by itself, so that what is
/// compared is how the bytes travel.
#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "benchmarks/gpu/device.hpp"
#include "benchmarks/gpu/gpu.hpp"
#include "kernels/device/lists.hpp"

namespace mpix::bench::gpu {
namespace {

namespace kd = kernels::device;
using kernels::Blocks;
using kernels::Dim;
using kernels::Form;

std::unique_ptr<Gpu>& chosen() {
  static std::unique_ptr<Gpu> only;
  return only;
}

Gpu& device() {
  if (chosen() == nullptr) throw bench::Error("no GPU was chosen");
  return *chosen();
}

/// Errors of the library's own kind as the benchmarks'.
template <typename Body>
auto translated(Body body) {
  try {
    return body();
  } catch (const mpix::Error& error) {
    throw bench::Error(std::string("-d cuda: ") + error.what());
  }
}

CUdeviceptr address(const std::byte* memory) {
  return reinterpret_cast<CUdeviceptr>(memory);
}

/// Whether the MPI takes memory of GPUs, as far as it tells.
bool cuda_aware() {
  const auto query = reinterpret_cast<int (*)()>(::dlsym(RTLD_DEFAULT, "MPIX_Query_cuda_support"));
  return query != nullptr && query() != 0;
}

/// One launch of the copy kernel that is repeated: a side against the same bytes end to end.
class PackKernel {
 public:
  PackKernel(const Side& side, const std::byte* buffer, const std::byte* flat, bool gathers)
      : gathers_(gathers) {
    if (side.kind == Side::Kind::rows) {
      add_rows(side, buffer, flat);
    } else {
      std::int64_t at = 0;
      for (int peer = 0; peer < side.peers(); at += bytes_for(side, peer++))
        add_box(side, peer, buffer, flat + at);
    }
    jobs_there_ = put(jobs_);
    first_there_ = put(first_);
  }

  void launch() const {
    if (jobs_.empty()) return;
    auto batch = std::make_unique<kd::Batch>();
    batch->jobs = reinterpret_cast<const kd::Job*>(jobs_there_.get());
    batch->first_tile = reinterpret_cast<const std::int64_t*>(first_there_.get());
    batch->njobs = static_cast<std::int64_t>(jobs_.size());
    device().launch(*batch, tiles_);
  }

 private:
  template <typename T>
  static CudaMemory put(const std::vector<T>& list) {
    if (list.empty()) return {};
    const auto bytes = static_cast<std::int64_t>(list.size() * sizeof(T));
    CudaMemory memory = device().allocate(bytes);
    device().upload(memory.get(), list.data(), bytes);
    return memory;
  }

  void add_rows(const Side& side, const std::byte* buffer, const std::byte* flat) {
    if (side.indices.empty()) return;
    std::vector<std::int64_t> offsets;
    for (const MPI_Count index : side.indices) offsets.push_back(index * side.row);
    Blocks blocks;
    blocks.form = Form::indexed;
    blocks.run = side.row;
    blocks.nruns = static_cast<std::int64_t>(offsets.size());
    blocks.bytes = blocks.run * blocks.nruns;
    blocks.offsets = offsets.data();
    lists_.push_back(put(offsets));
    kd::View view = view_of(blocks, buffer);
    view.offsets = reinterpret_cast<const std::int64_t*>(lists_.back().get());
    add_job(blocks, view, flat, buffer);
  }

  void add_box(const Side& side, int peer, const std::byte* buffer, const std::byte* flat) {
    const Box& box = side.boxes[static_cast<std::size_t>(peer)];
    if (box.elements() == 0) return;
    const BoxRuns runs = box_runs(side, box);
    const Dim dims[] = {{runs.outer, runs.outer_stride}, {runs.inner, runs.inner_stride}};
    Blocks blocks;
    blocks.ndims = 2;
    blocks.offset = runs.offset;
    blocks.run = runs.run;
    blocks.nruns = runs.outer * runs.inner;
    blocks.bytes = blocks.run * blocks.nruns;
    blocks.dims = dims;
    std::vector<kd::StridedDim> listed(2);
    kd::write_lists(blocks, listed.data(), nullptr, nullptr, nullptr);
    lists_.push_back(put(listed));
    kd::View view = view_of(blocks, buffer);
    view.dims = reinterpret_cast<const kd::StridedDim*>(lists_.back().get());
    add_job(blocks, view, flat, buffer);
  }

  static kd::View view_of(const Blocks& blocks, const std::byte* buffer) {
    kd::View view{};
    view.base = const_cast<std::byte*>(buffer) + blocks.offset;
    view.form = blocks.form;
    view.ndims = blocks.ndims;
    view.run = kd::make_divisor(blocks.run);
    view.nruns = blocks.nruns;
    return view;
  }

  void add_job(const Blocks& blocks, const kd::View& view, const std::byte* flat, const std::byte* buffer) {
    Blocks line;
    line.bytes = line.run = blocks.bytes;
    line.nruns = 1;
    kd::Job job{};
    job.source = gathers_ ? view : view_of(line, flat);
    job.target = gathers_ ? view_of(line, flat) : view;
    job.bytes = blocks.bytes;
    job.width = kd::width_of(kd::alignment_of(blocks) | address(buffer) | address(flat) |
                             static_cast<std::uint64_t>(blocks.bytes));
    first_.push_back(tiles_);
    jobs_.push_back(job);
    tiles_ += kd::tiles_of(job);
  }

  bool gathers_;
  std::vector<CudaMemory> lists_;
  std::vector<kd::Job> jobs_;
  std::vector<std::int64_t> first_;
  std::int64_t tiles_ = 0;
  CudaMemory jobs_there_, first_there_;
};

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

/// As a careful application does it: a side whose data lies ready is neither packed nor unpacked.
class Packed final : public Method {
 public:
  Packed(const Exchange& exchange, const Buffers& buffers)
      : comm_(exchange.comm),
        send_(buffers.send, buffers.packed_send, exchange.send, true),
        recv_(buffers.recv, buffers.packed_recv, exchange.recv, false) {}
  const char* name() const override { return "packed"; }

  void run() override {
    prepare();
    check(MPI_Alltoallv(send_.base(), send_.counts(), send_.displs(), MPI_BYTE, recv_.base(), recv_.counts(),
                        recv_.displs(), MPI_BYTE, comm_),
          "MPI_Alltoallv");
    finish();
  }
  MPI_Request start() override {
    prepare();
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Ialltoallv(send_.base(), send_.counts(), send_.displs(), MPI_BYTE, recv_.base(), recv_.counts(),
                         recv_.displs(), MPI_BYTE, comm_, &request),
          "MPI_Ialltoallv");
    return request;
  }
  void finish() override {
    translated([&] {
      recv_.stage(false);
      recv_.pack();
      device().synchronize();
    });
  }

 private:
  /// What the MPI sends from or receives into, and how the data gets there.
  class Packing {
   public:
    Packing(const Buffer& buffer, const Buffer& packed, const bench::Side& side, bool gathers)
        : there_(packed.data()), arguments_(make_contiguous(side)) {
      if (auto ready = make_in_place(side)) {
        there_ = buffer.data();
        arguments_ = std::move(*ready);
      } else {
        kernel_.emplace(side, buffer.data(), packed.data(), gathers);
      }
      if (!cuda_aware()) pinned_ = device().allocate_pinned(kernel_ ? packed.size() : buffer.size());
    }
    void* base() const { return pinned_.get() != nullptr ? pinned_.get() : there_; }
    const int* counts() const { return arguments_.counts.data(); }
    const int* displs() const { return arguments_.displs.data(); }
    void pack() const {
      if (kernel_) kernel_->launch();
    }
    /// Between the GPU and the memory that the MPI takes.
    void stage(bool down) const {
      if (pinned_.get() == nullptr) return;
      for (std::size_t p = 0; p < arguments_.counts.size(); ++p) {
        const std::int64_t at = arguments_.displs[p], bytes = arguments_.counts[p];
        std::byte* const host = static_cast<std::byte*>(pinned_.get()) + at;
        if (bytes > 0 && down) device().download_async(host, address(there_ + at), bytes);
        if (bytes > 0 && !down) device().upload_async(address(there_ + at), host, bytes);
      }
    }

   private:
    std::byte* there_;
    VArguments arguments_;
    std::optional<PackKernel> kernel_;
    CudaPinned pinned_;
  };

  void prepare() {
    translated([&] {
      send_.pack();
      send_.stage(true);
      device().synchronize();
    });
  }

  MPI_Comm comm_;
  Packing send_, recv_;
};

class Ipc final : public Blocking {
 public:
  Ipc(const Exchange& exchange, const Buffers& buffers)
      : comm_(exchange.comm),
        received_(buffers.packed_recv.data()),
        gather_(exchange.send, buffers.send.data(), buffers.packed_send.data(), true),
        scatter_(exchange.recv, buffers.recv.data(), buffers.packed_recv.data(), false),
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
    gather_.launch();
    device().synchronize();
    check(MPI_Barrier(comm_), "MPI_Barrier");
    for (std::size_t p = 0; p < bases_.size(); ++p)
      if (recv_.counts[p] > 0)
        device().copy(address(received_) + static_cast<CUdeviceptr>(recv_.displs[p]),
                      bases_[p] + static_cast<CUdeviceptr>(from_[p]), recv_.counts[p]);
    scatter_.launch();
    device().synchronize();
    check(MPI_Barrier(comm_), "MPI_Barrier");
  }

  MPI_Comm comm_;
  std::byte* received_;
  PackKernel gather_, scatter_;
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

void start(MPI_Comm comm) {
  if (chosen() != nullptr) return;
  Comm node;
  check(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, node.out()), "MPI_Comm_split_type");
  const char* const named = std::getenv("MPIX_LAYOUT_CUDA_DRIVER");
  const std::string library = named != nullptr && *named != '\0' ? named : "libcuda.so.1";
  translated([&] {
    chosen() = std::make_unique<Gpu>(library, comm_rank(node.get()));
    device().load();
  });
}

std::string description() {
  return device().name() + (cuda_aware() ? "; packed gives the MPI memory of the GPU"
                                         : "; packed goes through pinned memory, as the MPI takes no other");
}

std::byte* allocate(std::int64_t bytes) {
  return translated([&] { return device().allocate_raw(bytes); });
}
void release(std::byte* memory) noexcept {
  if (chosen() != nullptr) device().free_raw(memory);
}
void upload(std::byte* to, const std::byte* from, std::int64_t bytes) {
  translated([&] { device().upload(address(to), from, bytes); });
}
void download(std::byte* to, const std::byte* from, std::int64_t bytes) {
  translated([&] { device().download(to, address(from), bytes); });
}

std::unique_ptr<Method> make_packed(const Exchange& exchange, const Buffers& buffers) {
  return translated([&] { return std::make_unique<Packed>(exchange, buffers); });
}
std::unique_ptr<Method> make_ipc(const Exchange& exchange, const Buffers& buffers) {
  return translated([&] { return std::make_unique<Ipc>(exchange, buffers); });
}
std::unique_ptr<Method> make_copy(const Exchange& exchange, const Buffers& buffers) {
  return std::make_unique<Copy>(exchange, buffers);
}

}  // namespace mpix::bench::gpu
