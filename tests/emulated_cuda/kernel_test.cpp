// SPDX-License-Identifier: BSD-3-Clause
// The copy kernel on the emulated driver, and what it may use.
#include <algorithm>
#include <memory>

#include "kernels/device/locate.hpp"
#include "support.hpp"

namespace emulated::test {
namespace {

namespace kd = mpix::kernels::device;
using mpix::kernels::Form;

struct Launcher : Gpu {
  CUfunction function = load();

  CUfunction load() const {
    CUmodule module = nullptr;
    CUfunction made = nullptr;
    must(cuModuleLoadData(&module, "any image"));
    must(cuModuleGetFunction(&made, module, kd::kKernelName));
    return made;
  }
  CUresult launch(const kd::Batch& batch, unsigned grid, CUstream in) const {
    auto copied = std::make_unique<kd::Batch>(batch);
    void* parameters[] = {copied.get()};
    const CUresult result =
        cuLaunchKernel(function, grid, 1, 1, kd::kThreads, 1, 1, 0, in, parameters, nullptr);
    *copied = {};  // the parameters have been taken
    return result;
  }
  /// Ends with the kernel.
  CUresult run(const kd::Batch& batch, unsigned grid, CUstream in) const {
    must(launch(batch, grid, in));
    return cuStreamSynchronize(in);
  }
};

template <typename T>
T* pointer(CUdeviceptr address) {
  return reinterpret_cast<T*>(address);
}

/// Contiguous memory.
kd::View flat(const void* base, std::int64_t bytes) {
  kd::View view{};
  view.base = static_cast<std::byte*>(const_cast<void*>(base));
  view.form = Form::strided;
  view.run = kd::make_divisor(bytes);
  view.nruns = 1;
  return view;
}

kd::Job job_of(const kd::View& target, const kd::View& source, std::int64_t bytes, std::uint32_t width) {
  kd::Job job{};
  job.target = target;
  job.source = source;
  job.bytes = bytes;
  job.width = width;
  return job;
}

std::unique_ptr<kd::Batch> batch_of(const std::vector<kd::Job>& jobs) {
  auto batch = std::make_unique<kd::Batch>();
  batch->njobs = static_cast<std::int64_t>(jobs.size());
  std::int64_t tiles = 0;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    batch->inline_jobs[i] = jobs[i];
    batch->inline_first[i] = tiles;
    tiles += (jobs[i].bytes + kd::kTileBytes - 1) / kd::kTileBytes;
  }
  return batch;
}

TEST(EmulatedKernel, CopiesRowsBackwardsAndPieces) {
  EXPECT_TRUE(alone([] {
    const Launcher gpu;
    const CUstream stream = gpu.stream();
    const CUdeviceptr memory = gpu.upload(sequence(4000));
    auto* const out = gpu.pinned<std::uint8_t>(2000);
    const std::vector<kd::StridedDim> dims = {{kd::make_divisor(std::int64_t{100}), -40}};
    kd::View rows = flat(pointer<std::byte>(memory + 99 * 40), 20);  // the last row first
    rows.ndims = 1;
    rows.nruns = 100;
    rows.dims = pointer<kd::StridedDim>(gpu.upload(dims));
    const std::vector<kd::Piece> pieces = {{8, 40, 0}, {20, 0, 100}};
    kd::Job second = job_of(flat(out + 1000, 1000), rows, 20, 4);
    second.pieces = pointer<kd::Piece>(gpu.upload(pieces));
    second.npieces = 2;
    const auto batch = batch_of({job_of(flat(out, 1000), rows, 1000, 4), second});
    must(gpu.run(*batch, 2, stream));
    const std::vector<std::uint8_t> from = sequence(4000);
    for (std::size_t i = 0; i < 1000; ++i) ASSERT_EQ(out[i], from[(99 - i / 20) * 40 + i % 20]) << i;
    for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(out[1000 + i], from[97 * 40 + i]);
    for (std::size_t i = 0; i < 12; ++i) EXPECT_EQ(out[1100 + i], from[99 * 40 + i]);
  }));
}

TEST(EmulatedKernel, CopiesSegmentsToIndexedBlocksByATableInDeviceMemory) {
  EXPECT_TRUE(alone([] {
    const Launcher gpu;
    const CUdeviceptr from = gpu.upload(sequence(50000)), to = gpu.upload(std::vector<std::uint8_t>(50000));
    kd::View segments = flat(pointer<std::byte>(from), 1), indexed = flat(pointer<std::byte>(to), 10000);
    segments.form = Form::segments;
    segments.nruns = 3;
    segments.offsets = pointer<std::int64_t>(gpu.upload(std::vector<std::int64_t>{20000, 0, 40001}));
    segments.ends = pointer<std::int64_t>(gpu.upload(std::vector<std::int64_t>{15000, 15001, 20000}));
    segments.coarse = pointer<std::int64_t>(gpu.upload(std::vector<std::int64_t>{0, 0, 0, 0, 2}));
    indexed.form = Form::indexed;
    indexed.nruns = 2;
    indexed.offsets = pointer<std::int64_t>(gpu.upload(std::vector<std::int64_t>{30000, 5}));
    auto batch = std::make_unique<kd::Batch>();
    batch->njobs = 1;
    batch->jobs = pointer<kd::Job>(gpu.upload(std::vector<kd::Job>{job_of(indexed, segments, 20000, 1)}));
    batch->first_tile = pointer<std::int64_t>(gpu.upload(std::vector<std::int64_t>{0}));
    must(gpu.run(*batch, 2, nullptr));
    std::vector<std::uint8_t> in = sequence(50000), expected(50000);
    for (std::size_t i = 0; i < 20000; ++i) {
      const std::size_t source = i < 15000 ? 20000 + i : i == 15000 ? 0 : 40001 + i - 15001;
      expected[i < 10000 ? 30000 + i : 5 + i - 10000] = in[source];
    }
    EXPECT_TRUE(gpu.read(to, 50000) == expected);
  }));
}

/// Runs of one view in several allocations and in the host's memory.
TEST(EmulatedKernel, FollowsOffsetsToOtherAllocations) {
  EXPECT_TRUE(alone([] {
    const Launcher gpu;
    const CUdeviceptr first = gpu.upload(sequence(64)), second = gpu.upload(sequence(64, 9));
    auto* const pinned = gpu.pinned<std::uint8_t>(64);
    auto* const out = gpu.pinned<std::uint8_t>(64);
    std::copy_n(sequence(64, 30).data(), 64, pinned);
    kd::View indexed = flat(pointer<std::byte>(first), 16);
    indexed.form = Form::indexed;
    indexed.nruns = 3;
    const auto host = static_cast<std::int64_t>(device_pointer(pinned) - first);
    indexed.offsets = pointer<std::int64_t>(
        gpu.upload(std::vector<std::int64_t>{16, static_cast<std::int64_t>(second - first), host}));
    must(gpu.run(*batch_of({job_of(flat(out, 48), indexed, 48, 16)}), 1, nullptr));
    for (std::size_t i = 0; i < 16; ++i) {
      EXPECT_EQ(out[i], sequence(64)[16 + i]);
      EXPECT_EQ(out[16 + i], sequence(64, 9)[i]);
      EXPECT_EQ(out[32 + i], sequence(64, 30)[i]);
    }
  }));
}

/// The result of a copy of `bytes` bytes; errors stay.
CUresult copy(const Launcher& gpu, const void* to, const void* from, std::int64_t bytes,
              std::uint32_t width = 1) {
  const auto batch = batch_of({job_of(flat(to, bytes), flat(from, bytes), bytes, width)});
  const CUresult result = gpu.run(*batch, 1, gpu.stream());
  EXPECT_EQ(gpu.cuCtxSynchronize(), result);
  return result;
}

TEST(EmulatedKernel, UsesHostMemoryOnlyWhileItIsRegistered) {
  EXPECT_TRUE(alone([] {
    const Launcher gpu;
    const CUdeviceptr memory = gpu.upload(sequence(100));
    std::vector<std::uint8_t> own(100);
    must(gpu.cuMemHostRegister(own.data(), own.size(), CU_MEMHOSTREGISTER_PORTABLE));
    EXPECT_EQ(copy(gpu, own.data(), pointer<void>(memory), 100), CUDA_SUCCESS);
    EXPECT_TRUE(own == sequence(100));
    must(gpu.cuMemHostUnregister(own.data()));
    EXPECT_EQ(copy(gpu, own.data(), pointer<void>(memory), 100), CUDA_ERROR_ILLEGAL_ADDRESS);
  }));
}

TEST(EmulatedKernel, FailsBeyondAllocationsAndOnWordsThatAreNotAligned) {
  EXPECT_TRUE(alone([] {
    const Launcher gpu;
    const CUdeviceptr from = gpu.allocate(512), to = gpu.allocate(1024);
    EXPECT_EQ(copy(gpu, pointer<void>(to), pointer<void>(from), 513), CUDA_ERROR_ILLEGAL_ADDRESS);
  }));
  EXPECT_TRUE(alone([] {
    const Launcher gpu;
    const CUdeviceptr from = gpu.allocate(512), to = gpu.allocate(1024);
    EXPECT_EQ(copy(gpu, pointer<void>(to), pointer<void>(from + 8), 32, 16), CUDA_ERROR_ILLEGAL_ADDRESS);
  }));
  EXPECT_TRUE(alone([] {
    const Launcher gpu;
    const CUdeviceptr from = gpu.allocate(512), to = gpu.allocate(1024);
    must(gpu.cuMemFree(from));
    EXPECT_EQ(copy(gpu, pointer<void>(to), pointer<void>(from), 1), CUDA_ERROR_ILLEGAL_ADDRESS);
  }));
}

TEST(EmulatedKernel, IsForItsOwnContext) {
  EXPECT_TRUE(alone([] {
    set("EMULATED_CUDA_DEVICES", "2");
    const Launcher gpu;
    const auto batch = batch_of({});
    gpu.primary(1);
    EXPECT_EQ(gpu.launch(*batch, 1, gpu.stream()), CUDA_ERROR_INVALID_CONTEXT);
    const CUevent event = gpu.event();
    must(gpu.cuCtxSetCurrent(gpu.context));
    EXPECT_EQ(gpu.cuEventRecord(event, gpu.stream()), CUDA_ERROR_INVALID_HANDLE);
    EXPECT_EQ(gpu.launch(*batch, 0, gpu.stream()), CUDA_ERROR_INVALID_VALUE);
  }));
}

/// A kernel of GPU 1 with memory of GPU 0.
void copy_between_gpus(bool enable, CUresult expected) {
  set("EMULATED_CUDA_DEVICES", "2");
  Launcher gpu;
  const CUdeviceptr from = gpu.upload(sequence(100));
  gpu.primary(1);
  gpu.function = gpu.load();
  const CUdeviceptr to = gpu.allocate(100);
  if (enable) {
    must(gpu.cuCtxEnablePeerAccess(gpu.context, 0));
    EXPECT_EQ(gpu.cuCtxEnablePeerAccess(gpu.context, 0), CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED);
  }
  EXPECT_EQ(copy(gpu, pointer<void>(to), pointer<void>(from), 100), expected);
  if (expected != CUDA_SUCCESS) return;
  EXPECT_TRUE(gpu.read(to, 100) == sequence(100));
}

TEST(EmulatedKernel, ReachesOtherGpusOnceThatIsEnabled) {
  EXPECT_TRUE(alone([] { copy_between_gpus(true, CUDA_SUCCESS); }));
  EXPECT_TRUE(alone([] { copy_between_gpus(false, CUDA_ERROR_ILLEGAL_ADDRESS); }));
}

TEST(EmulatedKernel, ReachesNoOtherGpusWhereTheyAreApart) {
  EXPECT_TRUE(alone([] {
    set("EMULATED_CUDA_DEVICES", "2");
    set("EMULATED_CUDA_NO_PEER", "1");
    const Gpu gpu;
    gpu.primary(1);
    int can = 1;
    must(gpu.cuDeviceCanAccessPeer(&can, 1, 0));
    EXPECT_EQ(can, 0);
    EXPECT_EQ(gpu.cuCtxEnablePeerAccess(gpu.context, 0), CUDA_ERROR_PEER_ACCESS_UNSUPPORTED);
  }));
}

}  // namespace
}  // namespace emulated::test
