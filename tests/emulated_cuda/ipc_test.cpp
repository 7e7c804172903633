// SPDX-License-Identifier: BSD-3-Clause
// Memory of the emulated driver in several processes.
#include <array>

#include "support.hpp"

namespace emulated::test {
namespace {

/// Messages from one process to another.
class Pipe {
 public:
  Pipe() {
    if (::pipe(ends_.data()) != 0) throw std::runtime_error("no pipe");
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    for (const int end : ends_) ::close(end);
  }
  template <typename T>
  void send(const T& value) const {
    if (::write(ends_[1], &value, sizeof value) != sizeof value) throw std::runtime_error("nothing sent");
  }
  template <typename T>
  T receive() const {
    T value{};
    if (::read(ends_[0], &value, sizeof value) != sizeof value) throw std::runtime_error("nothing received");
    return value;
  }

 private:
  std::array<int, 2> ends_{};
};

CUipcMemHandle handle_of(const Gpu& gpu, CUdeviceptr memory) {
  CUipcMemHandle handle;
  must(gpu.cuIpcGetMemHandle(&handle, memory));
  return handle;
}

CUresult open(const Gpu& gpu, const CUipcMemHandle& handle, CUdeviceptr& result) {
  return gpu.cuIpcOpenMemHandle(&result, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS);
}

class EmulatedIpc : public ::testing::Test {
 protected:
  /// Both at once; whether both found what they expected.
  static bool both(const std::function<void()>& one, const std::function<void()>& other) {
    const pid_t first = start_process(one), second = start_process(other);
    const int first_end = end_of(first), second_end = end_of(second);
    return first_end == 0 && second_end == 0;
  }
  Pipe there_, back_;
};

TEST_F(EmulatedIpc, SharesAnAllocation) {
  EXPECT_TRUE(both(
      [&] {
        const Gpu gpu;
        gpu.upload(sequence(1000));  // lies before the one that is shared
        const CUdeviceptr memory = gpu.upload(sequence(3000, 1));
        there_.send(handle_of(gpu, memory + 100));
        back_.receive<char>();
        EXPECT_EQ(gpu.read(memory, 3000)[2999], 123);
      },
      [&] {
        const Gpu gpu;
        const auto handle = there_.receive<CUipcMemHandle>();
        CUdeviceptr memory = 0, again = 0, base = 0;
        std::size_t bytes = 0;
        must(open(gpu, handle, memory));
        must(open(gpu, handle, again));
        EXPECT_EQ(memory, again);
        must(gpu.cuMemGetAddressRange(&base, &bytes, memory + 5));
        EXPECT_EQ(base, memory);
        EXPECT_EQ(bytes, 3000u);
        EXPECT_TRUE(gpu.read(memory, 3000) == sequence(3000, 1));
        gpu.write(memory + 2999, std::vector<std::uint8_t>{123});
        CUipcMemHandle further;
        EXPECT_EQ(gpu.cuIpcGetMemHandle(&further, memory), CUDA_ERROR_INVALID_VALUE);
        EXPECT_EQ(gpu.cuMemFree(memory), CUDA_ERROR_INVALID_VALUE);
        must(gpu.cuIpcCloseMemHandle(memory));
        EXPECT_EQ(gpu.read(memory, 3000)[0], 1);
        must(gpu.cuIpcCloseMemHandle(memory));
        EXPECT_NE(gpu.cuIpcCloseMemHandle(memory), CUDA_SUCCESS);
        back_.send('.');
      }));
}

TEST_F(EmulatedIpc, NoticesMemoryThatWasFreed) {
  EXPECT_TRUE(both(
      [&] {
        const Gpu gpu;
        const CUdeviceptr memory = gpu.upload(sequence(100)), other = gpu.upload(sequence(100));
        there_.send(handle_of(gpu, memory));
        there_.send(handle_of(gpu, other));
        back_.receive<char>();
        must(gpu.cuMemFree(memory));
        must(gpu.cuMemFree(other));
        EXPECT_EQ(gpu.allocate(100), memory);
        there_.send('.');
        back_.receive<char>();
      },
      [&] {
        const Gpu gpu;
        const auto handle = there_.receive<CUipcMemHandle>(), stale = there_.receive<CUipcMemHandle>();
        CUdeviceptr memory = 0, other = 0;
        must(open(gpu, handle, memory));
        EXPECT_EQ(gpu.read(memory, 100)[1], sequence(100)[1]);
        back_.send('.');
        there_.receive<char>();
        EXPECT_EQ(open(gpu, stale, other), CUDA_ERROR_INVALID_VALUE);
        std::array<char, 100> to{};
        EXPECT_EQ(gpu.cuMemcpyDtoH(to.data(), memory, to.size()), CUDA_ERROR_ILLEGAL_ADDRESS);
        back_.send('.');
      }));
}

TEST_F(EmulatedIpc, NoticesProcessesThatHaveEnded) {
  EXPECT_TRUE(alone([&] {
    const Gpu gpu;
    there_.send(handle_of(gpu, gpu.allocate(100)));
  }));
  EXPECT_TRUE(alone([&] {
    const Gpu gpu;
    CUdeviceptr memory = 0;
    EXPECT_NE(open(gpu, there_.receive<CUipcMemHandle>(), memory), CUDA_SUCCESS);
    EXPECT_EQ(memory, 0u);
  }));
}

TEST_F(EmulatedIpc, IsForDeviceMemoryOfOtherProcesses) {
  EXPECT_TRUE(alone([] {
    const Gpu gpu;
    CUdeviceptr memory = 0;
    CUipcMemHandle handle;
    EXPECT_EQ(open(gpu, handle_of(gpu, gpu.allocate(100)), memory), CUDA_ERROR_INVALID_CONTEXT);
    must(gpu.cuMemAllocAsync(&memory, 100, nullptr));
    EXPECT_EQ(gpu.cuIpcGetMemHandle(&handle, memory), CUDA_ERROR_INVALID_VALUE);
    must(gpu.cuMemAllocManaged(&memory, 100, CU_MEM_ATTACH_GLOBAL));
    EXPECT_EQ(gpu.cuIpcGetMemHandle(&handle, memory), CUDA_ERROR_INVALID_VALUE);
    EXPECT_EQ(gpu.cuIpcGetMemHandle(&handle, device_pointer(gpu.pinned<char>(10))), CUDA_ERROR_INVALID_VALUE);
  }));
}

}  // namespace
}  // namespace emulated::test
