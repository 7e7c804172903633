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

class Packed final : public Blocking {
 public:
  Packed(const Exchange& exchange, const Buffers& buffers)
      : comm_(exchange.comm),
        sent_(buffers.packed_send),
        received_(buffers.packed_recv),
        gather_(exchange.send, buffers.send.data(), buffers.packed_send.data(), true),
        scatter_(exchange.recv, buffers.recv.data(), buffers.packed_recv.data(), false),
        send_(make_contiguous(exchange.send)),
        recv_(make_contiguous(exchange.recv)) {
    if (cuda_aware()) return;
    out_ = device().allocate_pinned(sent_.size());
    in_ = device().allocate_pinned(received_.size());
  }
  const char* name() const override { return "packed"; }

 private:
  void exchange() override {
    const bool staged = out_.get() != nullptr;
    gather_.launch();
    if (staged) device().download_async(out_.get(), address(sent_.data()), sent_.size());
    device().synchronize();
    check(MPI_Alltoallv(staged ? out_.get() : sent_.data(), send_.counts.data(), send_.displs.data(),
                        MPI_BYTE, staged ? in_.get() : received_.data(), recv_.counts.data(),
                        recv_.displs.data(), MPI_BYTE, comm_),
          "MPI_Alltoallv");
    if (staged) device().upload_async(address(received_.data()), in_.get(), received_.size());
    scatter_.launch();
    device().synchronize();
  }

  MPI_Comm comm_;
  const Buffer& sent_;
  const Buffer& received_;
  PackKernel gather_, scatter_;
  VArguments send_, recv_;
  CudaPinned out_, in_;
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
      : to_(buffers.recv.data()),
        from_(buffers.send.data()),
        bytes_(total_bytes(exchange.recv)),
        most_(buffers.send.size()) {}
  const char* name() const override { return "copy"; }
  bool delivers() const override { return false; }

 private:
  void exchange() override {
    for (std::int64_t at = 0; at < bytes_; at += most_)
      device().copy(address(to_ + at), address(from_), std::min(most_, bytes_ - at));
    device().synchronize();
  }
  std::byte* to_;
  std::byte* from_;
  std::int64_t bytes_, most_;
};

}  // namespace

void start(MPI_Comm comm) {
  if (chosen() != nullptr) return;
  Comm node;
  check(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, node.out()), "MPI_Comm_split_type");
  const char* const named = std::getenv("MPIX_LAYOUT_CUDA_DRIVER");
  const std::string library = named != nullptr && *named != '\0' ? named : "libcuda.so.1";
  translated([&] { chosen() = std::make_unique<Gpu>(library, comm_rank(node.get())); });
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
