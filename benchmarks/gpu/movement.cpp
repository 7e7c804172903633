// SPDX-License-Identifier: BSD-3-Clause
/// Gathers and scatters are the library's kernel by itself, so that what is compared is how the bytes travel.
#include <optional>

#include "benchmarks/gpu/chosen.hpp"
#include "benchmarks/gpu/gpu.hpp"
#include "kernels/device/lists.hpp"

namespace mpix::bench::gpu {
namespace {

namespace kd = kernels::device;
using kernels::Blocks;
using kernels::Dim;
using kernels::Form;

/// One launch of the copy kernel that is repeated.
class CopyKernel final : public Movement {
 public:
  /// Blocks of equal size; without bytes there is nothing to do.
  void add(const Blocks& source, const std::byte* from, const Blocks& target, const std::byte* to) {
    if (source.bytes == 0) return;
    kd::Job job{};
    job.source = view_of(source, from);
    job.target = view_of(target, to);
    job.bytes = source.bytes;
    job.width = kd::width_of(kd::alignment_of(source) | kd::alignment_of(target) | address(from) |
                             address(to) | static_cast<std::uint64_t>(source.bytes));
    first_.push_back(tiles_);
    jobs_.push_back(job);
    tiles_ += kd::tiles_of(job);
  }

  /// To be called once, after add() and before run().
  void finish() {
    jobs_there_ = keep(jobs_);
    first_there_ = keep(first_);
  }

  void run() const override {
    if (jobs_.empty()) return;
    translated([&] {
      auto batch = std::make_unique<kd::Batch>();
      batch->jobs = jobs_there_;
      batch->first_tile = first_there_;
      batch->njobs = static_cast<std::int64_t>(jobs_.size());
      device().launch(*batch, tiles_);
    });
  }

 private:
  /// Where the list is on the GPU.
  template <typename T>
  const T* keep(const std::vector<T>& list) {
    if (list.empty()) return nullptr;
    const auto bytes = static_cast<std::int64_t>(list.size() * sizeof(T));
    lists_.push_back(device().allocate(bytes));
    device().upload(lists_.back().get(), list.data(), bytes);
    return reinterpret_cast<const T*>(lists_.back().get());
  }

  kd::View view_of(const Blocks& blocks, const std::byte* buffer) {
    return make_view(device(), blocks, const_cast<std::byte*>(buffer), lists_);
  }

  std::vector<CudaMemory> lists_;
  std::vector<kd::Job> jobs_;
  std::vector<std::int64_t> first_;
  std::int64_t tiles_ = 0;
  const kd::Job* jobs_there_ = nullptr;
  const std::int64_t* first_there_ = nullptr;
};

Blocks contiguous(std::int64_t bytes) {
  Blocks line;
  line.bytes = line.run = bytes;
  line.nruns = 1;
  return line;
}

/// `offsets` must outlive what is returned.
Blocks rows(std::int64_t row, const std::vector<std::int64_t>& offsets) {
  Blocks blocks;
  blocks.form = Form::indexed;
  blocks.run = row;
  blocks.nruns = static_cast<std::int64_t>(offsets.size());
  blocks.bytes = blocks.run * blocks.nruns;
  blocks.offsets = offsets.data();
  return blocks;
}

/// What a peer has of a side, with the lists that it needs.
struct PeerBlocks {
  Dim dims[2];
  Blocks blocks;

  explicit PeerBlocks(const BoxRuns& runs)
      : dims{{runs.outer, runs.outer_stride}, {runs.inner, runs.inner_stride}} {
    blocks.ndims = 2;
    blocks.offset = runs.offset;
    blocks.run = runs.run;
    blocks.nruns = runs.outer * runs.inner;
    blocks.bytes = blocks.run * blocks.nruns;
    blocks.dims = dims;
  }
  PeerBlocks(const PeerBlocks&) = delete;
  PeerBlocks& operator=(const PeerBlocks&) = delete;
};

/// What the MPI does not take from the GPU goes through pinned memory.
class Pinned final : public MpiMemory {
 public:
  explicit Pinned(const Buffer& buffer)
      : MpiMemory(buffer), there_(buffer.data()), pinned_(device().allocate_pinned(buffer.size())) {
    stand_in(static_cast<std::byte*>(pinned_.get()));
  }
  void give(const VArguments& arguments) const override {
    translated([&] {
      for_each(arguments, [&](std::int64_t at, std::int64_t bytes) {
        device().download_async(data() + at, address(there_ + at), bytes);
      });
      device().synchronize();
    });
  }
  void take(const VArguments& arguments) const override {
    translated([&] {
      for_each(arguments, [&](std::int64_t at, std::int64_t bytes) {
        device().upload_async(address(there_ + at), data() + at, bytes);
      });
    });
  }

 private:
  template <typename Visit>
  static void for_each(const VArguments& arguments, Visit visit) {
    for (std::size_t p = 0; p < arguments.counts.size(); ++p)
      if (arguments.counts[p] > 0) visit(arguments.displs[p], arguments.counts[p]);
  }
  std::byte* there_;
  CudaPinned pinned_;
};

/// Memory of the GPU that the MPI takes. It knows nothing of the stream.
class Direct final : public MpiMemory {
 public:
  using MpiMemory::MpiMemory;
  void give(const VArguments&) const override { synchronize(); }
};

}  // namespace

std::unique_ptr<Movement> make_packing(const Side& side, const Buffer& buffer, const Buffer& flat,
                                       bool gathers) {
  return translated([&] {
    auto kernel = std::make_unique<CopyKernel>();
    const auto add = [&](const Blocks& blocks, std::int64_t at) {
      const Blocks line = contiguous(blocks.bytes);
      if (gathers)
        kernel->add(blocks, buffer.data(), line, flat.data() + at);
      else
        kernel->add(line, flat.data() + at, blocks, buffer.data());
    };
    if (side.kind == Side::Kind::rows) {
      std::vector<std::int64_t> offsets;
      for (const MPI_Count index : side.indices) offsets.push_back(index * side.row);
      add(rows(side.row, offsets), 0);
    } else {
      std::int64_t at = 0;
      for (int peer = 0; peer < side.peers(); at += bytes_for(side, peer++))
        if (bytes_for(side, peer) > 0)
          add(PeerBlocks(box_runs(side, side.boxes[static_cast<std::size_t>(peer)])).blocks, at);
    }
    kernel->finish();
    return kernel;
  });
}

std::unique_ptr<Movement> make_row_movement(const std::vector<RowCopy>& copies, std::int64_t row,
                                            const Buffer& from, const Buffer& to) {
  return translated([&] {
    auto kernel = std::make_unique<CopyKernel>();
    std::vector<std::int64_t> sources, targets;
    for (const RowCopy& copy : copies) {
      sources.push_back(copy.from);
      targets.push_back(copy.to);
    }
    kernel->add(rows(row, sources), from.data(), rows(row, targets), to.data());
    kernel->finish();
    return kernel;
  });
}

std::unique_ptr<MpiMemory> make_mpi_memory(const Buffer& buffer) {
  if (cuda_aware()) return std::make_unique<Direct>(buffer);
  return translated([&] { return std::make_unique<Pinned>(buffer); });
}

}  // namespace mpix::bench::gpu
