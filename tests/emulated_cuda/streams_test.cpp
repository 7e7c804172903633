// SPDX-License-Identifier: BSD-3-Clause
// Order, and that there is none, in streams of the emulated driver.
#include <atomic>
#include <chrono>
#include <thread>

#include "support.hpp"

namespace emulated::test {
namespace {

void nap(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

/// A stream does nothing more until open().
class Gate {
 public:
  Gate(const Gpu& gpu, CUstream stream) : word_(gpu.pinned<std::uint32_t>(1)) {
    *word_ = 0;
    must(gpu.cuStreamWaitValue32(stream, device_pointer(word_), 1, CU_STREAM_WAIT_VALUE_GEQ));
  }
  void open() { __atomic_store_n(word_, 1u, __ATOMIC_RELEASE); }

 private:
  std::uint32_t* word_;
};

TEST(EmulatedStreams, WaitForWords) {
  EXPECT_TRUE(alone([] {
    const Gpu gpu;
    const CUstream stream = gpu.stream();
    const CUdeviceptr memory = gpu.upload(sequence(64));
    auto* const seen = gpu.pinned<std::uint8_t>(64);
    seen[3] = 99;
    Gate gate(gpu, stream);
    must(gpu.cuMemcpyDtoHAsync(seen, memory, 64, stream));
    nap(20);
    EXPECT_EQ(gpu.cuStreamQuery(stream), CUDA_ERROR_NOT_READY);
    EXPECT_EQ(seen[3], 99);
    gate.open();
    must(gpu.cuStreamSynchronize(stream));
    EXPECT_EQ(seen[3], sequence(64)[3]);
  }));
}

TEST(EmulatedStreams, WriteWordsOfBothSizesInDeviceMemory) {
  EXPECT_TRUE(alone([] {
    const Gpu gpu;
    const CUstream first = gpu.stream(), second = gpu.stream();
    const CUdeviceptr words = gpu.upload(std::vector<std::uint64_t>(2));
    must(gpu.cuStreamWaitValue64(first, words, std::uint64_t{5} << 40, CU_STREAM_WAIT_VALUE_EQ));
    must(gpu.cuStreamWriteValue32(first, words + 8, 7, 0));
    nap(10);
    EXPECT_EQ(gpu.cuStreamQuery(first), CUDA_ERROR_NOT_READY);
    must(gpu.cuStreamWriteValue64(second, words, std::uint64_t{5} << 40, 0));
    must(gpu.cuStreamSynchronize(first));
    EXPECT_EQ(gpu.read(words, 16)[8], 7);
  }));
}

/// Copies that nothing orders sooner or later overtake one another; those of one stream never do.
TEST(EmulatedStreams, KeepTheirOrderOnly) {
  EXPECT_TRUE(alone([] {
    set("EMULATED_CUDA_DELAY_US", "300");
    const Gpu gpu;
    const CUstream first = gpu.stream(), second = gpu.stream();
    auto* const word = gpu.pinned<std::uint8_t>(1);
    const CUdeviceptr memory = gpu.allocate(1);
    int overtaken = 0;
    for (int round = 0; round < 100; ++round) {
      must(gpu.cuMemsetD8Async(memory, 1, 1, first));
      must(gpu.cuMemsetD8Async(memory, 2, 1, first));
      must(gpu.cuMemcpyDtoHAsync(word, memory, 1, second));
      must(gpu.cuStreamSynchronize(second));
      overtaken += *word != 2;
      must(gpu.cuMemcpyDtoHAsync(word, memory, 1, first));
      must(gpu.cuStreamSynchronize(first));
      ASSERT_EQ(*word, 2);
    }
    EXPECT_GT(overtaken, 0);
  }));
}

TEST(EmulatedStreams, AreJoinedByEvents) {
  EXPECT_TRUE(alone([] {
    const Gpu gpu;
    const CUstream first = gpu.stream(), second = gpu.stream();
    const CUdeviceptr memory = gpu.upload(sequence(8));
    auto* const seen = gpu.pinned<std::uint8_t>(1);
    const CUevent event = gpu.event();
    EXPECT_EQ(gpu.cuEventQuery(event), CUDA_SUCCESS);
    Gate gate(gpu, first);
    must(gpu.cuMemsetD8Async(memory, 55, 8, first));
    must(gpu.cuEventRecord(event, first));
    must(gpu.cuMemsetD8Async(memory, 66, 4, first));
    must(gpu.cuStreamWaitEvent(second, event, 0));
    must(gpu.cuMemcpyDtoHAsync(seen, memory + 5, 1, second));
    nap(10);
    EXPECT_EQ(gpu.cuEventQuery(event), CUDA_ERROR_NOT_READY);
    EXPECT_EQ(gpu.cuStreamQuery(second), CUDA_ERROR_NOT_READY);
    gate.open();
    must(gpu.cuStreamSynchronize(second));
    EXPECT_EQ(gpu.cuEventQuery(event), CUDA_SUCCESS);
    EXPECT_EQ(*seen, 55);
    must(gpu.cuEventDestroy(event));
    EXPECT_EQ(gpu.cuEventDestroy(event), CUDA_ERROR_INVALID_HANDLE);
  }));
}

TEST(EmulatedStreams, AreTimedByEvents) {
  EXPECT_TRUE(alone([] {
    const Gpu gpu;
    const CUstream stream = gpu.stream();
    const CUevent start = gpu.event(CU_EVENT_DEFAULT), end = gpu.event(CU_EVENT_DEFAULT);
    must(gpu.cuEventRecord(start, stream));
    must(gpu.cuEventSynchronize(start));
    Gate gate(gpu, stream);
    must(gpu.cuEventRecord(end, stream));
    float milliseconds = 0;
    nap(10);
    EXPECT_EQ(gpu.cuEventElapsedTime(&milliseconds, start, end), CUDA_ERROR_NOT_READY);
    gate.open();
    must(gpu.cuEventSynchronize(end));
    must(gpu.cuEventElapsedTime(&milliseconds, start, end));
    EXPECT_GE(milliseconds, 5);
  }));
}

TEST(EmulatedStreams, WaitForTheDefaultStreamUnlessToldOtherwise) {
  EXPECT_TRUE(alone([] {
    const Gpu gpu;
    const CUstream blocking = gpu.stream(CU_STREAM_DEFAULT), apart = gpu.stream();
    const CUdeviceptr memory = gpu.upload(sequence(8));
    Gate gate(gpu, nullptr);
    must(gpu.cuMemsetD8Async(memory, 1, 1, blocking));
    must(gpu.cuMemsetD8Async(memory, 1, 1, apart));
    must(gpu.cuStreamSynchronize(apart));
    nap(10);
    EXPECT_EQ(gpu.cuStreamQuery(blocking), CUDA_ERROR_NOT_READY);
    gate.open();
    must(gpu.cuStreamSynchronize(blocking));
    Gate second(gpu, blocking);
    must(gpu.cuMemsetD8Async(memory, 1, 1, nullptr));
    nap(10);
    EXPECT_EQ(gpu.cuStreamQuery(nullptr), CUDA_ERROR_NOT_READY);
    second.open();
    must(gpu.cuStreamSynchronize(nullptr));
  }));
}

/// Pageable memory has been read when the call returns, pinned memory has not.
TEST(EmulatedStreams, ReadPageableMemoryAtOnce) {
  EXPECT_TRUE(alone([] {
    const Gpu gpu;
    const CUstream stream = gpu.stream();
    const CUdeviceptr memory = gpu.allocate(200);
    std::vector<std::uint8_t> pageable(100, 1);
    auto* const pinned = gpu.pinned<std::uint8_t>(100);
    pinned[0] = 1;
    Gate gate(gpu, stream);
    must(gpu.cuMemcpyHtoDAsync(memory, pageable.data(), 100, stream));
    must(gpu.cuMemcpyHtoDAsync(memory + 100, pinned, 100, stream));
    pageable[0] = pinned[0] = 2;
    gate.open();
    must(gpu.cuStreamSynchronize(stream));
    EXPECT_EQ(gpu.read(memory, 100)[0], 1);
    EXPECT_EQ(gpu.read(memory + 100, 100)[0], 2);
  }));
}

struct Called {
  const Gpu* gpu;
  std::atomic<int> result{-1};
};

TEST(EmulatedStreams, CallFunctionsThatMustNotCallTheDriver) {
  EXPECT_TRUE(alone([] {
    const Gpu gpu;
    const CUstream stream = gpu.stream();
    Called called{&gpu};
    Gate gate(gpu, stream);
    must(gpu.cuLaunchHostFunc(
        stream,
        [](void* data) {
          Called& what = *static_cast<Called*>(data);
          int count = 0;
          what.result = what.gpu->cuDeviceGetCount(&count);
        },
        &called));
    nap(10);
    EXPECT_EQ(called.result, -1);
    gate.open();
    must(gpu.cuStreamSynchronize(stream));
    EXPECT_EQ(called.result, CUDA_ERROR_NOT_PERMITTED);
  }));
}

/// Freeing waits for all streams, and what is destroyed goes on to its end.
TEST(EmulatedStreams, AreWaitedForBeforeMemoryIsFreed) {
  EXPECT_TRUE(alone([] {
    const Gpu gpu;
    const CUstream stream = gpu.stream();
    const CUdeviceptr memory = gpu.allocate(100), other = gpu.allocate(100);
    Gate gate(gpu, stream);
    must(gpu.cuMemsetD8Async(memory, 1, 100, stream));
    must(gpu.cuStreamDestroy(stream));
    EXPECT_EQ(gpu.cuStreamQuery(stream), CUDA_ERROR_INVALID_HANDLE);
    std::atomic<bool> opened = false;
    std::thread opener([&] {
      nap(20);
      opened = true;
      gate.open();
    });
    must(gpu.cuMemFree(other));
    EXPECT_TRUE(opened);
    must(gpu.cuMemFree(memory));
    must(gpu.cuCtxSynchronize());
    opener.join();
  }));
}

/// Neither a stream that waits for ever nor one with much to do keeps a process from ending.
TEST(EmulatedStreams, LetProcessesEnd) {
  const pid_t child = start_process([] {
    const Gpu gpu;
    const CUdeviceptr memory = gpu.allocate(100);
    const CUstream busy = gpu.stream(), stuck = gpu.stream();
    const Gate gate(gpu, stuck);
    for (int i = 0; i < 1000; ++i) must(gpu.cuMemsetD8Async(memory, 1, 100, busy));
    std::exit(17);
  });
  EXPECT_EQ(end_of(child), 17);
}

TEST(EmulatedStreams, CopyRowsAndFreeInOrder) {
  EXPECT_TRUE(alone([] {
    const Gpu gpu;
    const CUstream stream = gpu.stream();
    const CUdeviceptr from = gpu.upload(sequence(100));
    CUdeviceptr to = 0;
    must(gpu.cuMemAllocAsync(&to, 30, stream));
    CUDA_MEMCPY2D rows{};
    rows.srcMemoryType = rows.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    rows.srcDevice = from;
    rows.dstDevice = to;
    rows.srcXInBytes = 2;
    rows.srcPitch = 10;
    rows.dstPitch = rows.WidthInBytes = 3;
    rows.Height = 10;
    must(gpu.cuMemcpy2DAsync(&rows, stream));
    must(gpu.cuStreamSynchronize(stream));
    const std::vector<std::uint8_t> got = gpu.read(to, 30);
    for (std::size_t i = 0; i < 30; ++i) EXPECT_EQ(got[i], sequence(100)[i / 3 * 10 + 2 + i % 3]);
    must(gpu.cuMemFreeAsync(to, stream));
    must(gpu.cuMemcpyDtoDAsync(from, to, 1, stream));
    EXPECT_EQ(gpu.cuStreamSynchronize(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
  }));
}

}  // namespace
}  // namespace emulated::test
