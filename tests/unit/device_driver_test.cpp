// SPDX-License-Identifier: BSD-3-Clause
// Drivers that are not initialised, that fail, that lack abilities, that have several GPUs: each in a process
// of its own. Most need the emulated driver.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>

#include "tests/support/processes.hpp"
#include "tests/unit/device_support.hpp"

namespace mpix::device::testing {
namespace {

constexpr std::int64_t kRuns = 40;
constexpr std::int64_t kStride = 64;
constexpr std::int64_t kRun = 24;

class DeviceDrivers : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!emulated()) GTEST_SKIP() << "for the emulated driver";
  }
};

void set(const char* name, const std::string& value) {
  ASSERT_EQ(::setenv(name, value.c_str(), 1), 0);
}

/// How often the driver's function was called.
std::uint64_t calls(const char* function) {
  void* const driver = ::dlopen(driver_name().c_str(), RTLD_NOW | RTLD_NOLOAD);
  auto* const count = reinterpret_cast<std::uint64_t (*)(const char*)>(::dlsym(driver, "emulatedCudaCalls"));
  return count(function);
}

/// kRuns runs of kRun bytes.
struct Rows {
  Rows() {
    for (std::int64_t i = 0; i < kRuns; ++i) offsets.push_back((kRuns - 1 - i) * kStride);
    blocks.form = kernels::Form::indexed;
    blocks.nruns = kRuns;
    blocks.run = kRun;
    blocks.bytes = kRuns * kRun;
    blocks.offsets = offsets.data();
  }
  static std::vector<std::byte> content() {
    std::vector<std::byte> bytes(kRuns * kStride);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 13 + i / 256);
    return bytes;
  }
  /// What gathering from content() gives.
  std::vector<std::byte> gathered() const {
    std::vector<std::byte> bytes;
    for (const std::int64_t offset : offsets)
      for (std::int64_t i = 0; i < kRun; ++i)
        bytes.push_back(content()[static_cast<std::size_t>(offset + i)]);
    return bytes;
  }
  std::shared_ptr<const Mirror> mirror(Queue& queue) const {
    const kernels::Blocks* const list[] = {&blocks};
    return queue.mirror(list);
  }
  std::vector<std::int64_t> offsets;
  kernels::Blocks blocks;
};

Side side_of(const std::byte* base, const Mirror& mirror, std::int64_t start = 0) {
  Side side;
  side.base = base;
  side.blocks = &mirror[0];
  side.mirror = &mirror;
  side.start = start;
  return side;
}

/// Progresses until `step` succeeds; false where the queue fails before.
template <typename Step>
bool comes(Queue& queue, Step&& step) {
  for (; !step(); queue.progress())
    if (!queue.error().ok()) return false;
  return true;
}

/// Copies there and back, with the right bytes; false where the queue fails.
bool copied_rows(Queue& queue, const Mirror& mirror, std::byte* base, const Rows& rows) {
  std::vector<std::byte> out(static_cast<std::size_t>(rows.blocks.bytes));
  std::optional<Ticket> last;
  const auto gather = [&](std::int64_t run) {
    last = queue.gather(side_of(base, mirror, run * kRun), out.data() + run * kRun, kRun);
    return last.has_value();
  };
  for (std::int64_t run = 0; run < kRuns; ++run)  // more than travel with a launch
    if (!comes(queue, [&] { return gather(run); })) return false;
  queue.flush();
  if (!comes(queue, [&] { return queue.done(*last); })) return false;
  EXPECT_TRUE(out == rows.gathered());
  const Entry entries[] = {{0, kRun, 2 * kRun}, {2 * kRun, kRun, 0}};
  const auto scatter_entries = [&] {
    return queue.scatter_entries(side_of(base, mirror), out.data(), entries).has_value();
  };
  const auto scatter = [&] {
    last = queue.scatter(side_of(base, mirror, 5 * kRun), out.data(), 3 * kRun);
    return last.has_value();
  };
  if (!comes(queue, scatter_entries) || !comes(queue, scatter)) return false;
  queue.wait();
  return queue.done(*last);
}

void copy_rows(Queue& queue, const Mirror& mirror, std::byte* base, const Rows& rows) {
  const bool copied = copied_rows(queue, mirror, base, rows);
  queue.wait();
  EXPECT_TRUE(copied || !queue.error().ok());
  EXPECT_FALSE(queue.collected());
  EXPECT_EQ(queue.under_way(), 0);
}

void use_streams(Gpus& gpus, CUstream stream) {
  const auto hold = gpus.hold(stream);
  const auto mark = gpus.mark(stream);
  Status status;
  hold->release();
  while (!mark->reached(status) && status.ok()) std::this_thread::yield();
}

template <typename Use>
bool works(Use use) {
  try {
    use();
    return true;
  } catch (const Error& error) {
    EXPECT_FALSE(error.status().ok());
    return false;
  }
}

/// Uses everything once; returns whether nothing failed. The application's memory is never freed.
bool use_all() {
  Application& app = application();
  const Rows rows;
  static const Memory memory(Kind::device, kRuns * kStride);
  memory.write(Rows::content());
  CUstream stream = nullptr;
  app.must(app.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  static memory::Regions regions;
  const auto gpus = find(regions);
  const bool streams = works([&] { use_streams(*gpus, stream); });
  const bool queues = works([&] {
    const auto queue = gpus->make_queue(gpus->look(memory.data()));
    const auto mirror = rows.mirror(*queue);
    copy_rows(*queue, *mirror, memory.data(), rows);
    if (!queue->error().ok()) throw Error(queue->error());
    if (!mirror->place()) throw Error(Code::internal, "not exported");
  });
  return gpus->probe(0).has_value() && gpus->description().find("GPU") != std::string::npos && streams &&
         queues;
}

TEST_F(DeviceDrivers, WorkBeforeTheyFail) {
  EXPECT_TRUE(test::alone([] { EXPECT_TRUE(use_all()); }));
}

/// `function` fails from its first, second, ... call on: nothing crashes, hangs or copies wrong bytes.
class DeviceFailures : public DeviceDrivers, public ::testing::WithParamInterface<const char*> {};

TEST_P(DeviceFailures, AreReported) {
  for (int call = 1; call <= 9; ++call) {
    const std::string failure = std::string(GetParam()) + ":" + std::to_string(call);
    const pid_t child = test::start_process([&] {
      set("EMULATED_CUDA_FAIL", failure);
      set("EMULATED_CUDA_DELAY_US", "0");
      try {
        use_all();
      } catch (const std::runtime_error&) {  // in a call of the application
      }
    });
    EXPECT_EQ(test::end_of(child), 0) << failure;
  }
}

INSTANTIATE_TEST_SUITE_P(
    OfFunctions, DeviceFailures,
    ::testing::Values("cuCtxPushCurrent", "cuCtxPopCurrent", "cuDevicePrimaryCtxRetain", "cuCtxGetDevice",
                      "cuModuleLoadData", "cuModuleGetFunction", "cuFuncLoad", "cuLaunchKernel", "cuMemAlloc",
                      "cuMemFree", "cuMemHostAlloc", "cuMemFreeHost", "cuMemHostGetDevicePointer",
                      "cuMemGetAddressRange", "cuMemcpyHtoDAsync", "cuPointerGetAttributes", "cuStreamCreate",
                      "cuStreamCreateWithPriority", "cuStreamDestroy", "cuStreamSynchronize", "cuEventCreate",
                      "cuEventDestroy", "cuEventRecord", "cuEventQuery", "cuIpcGetMemHandle",
                      "cuStreamGetCtx", "cuStreamWaitValue32", "cuStreamIsCapturing",
                      "cuThreadExchangeStreamCaptureMode", "cuDeviceGetCount", "cuDriverGetVersion"),
    [](const auto& test) { return std::string(test.param); });

TEST_F(DeviceDrivers, AreNotInitialisedByLooking) {
  const pid_t child = test::start_process([] {
    memory::Regions regions;
    const auto gpus = find(regions);
    EXPECT_EQ(gpus->look(&regions).kind, Kind::host);
    EXPECT_NE(gpus->description().find("not initialised"), std::string::npos) << gpus->description();
    EXPECT_EQ(calls("cuInit"), 0u);
    EXPECT_EQ(calls("cuDevicePrimaryCtxRetain"), 0u);
  });
  EXPECT_EQ(test::end_of(child), 0);
}

TEST_F(DeviceDrivers, AreAskedOnceForMemoryThatIsKnownOrNoGpus) {
  const pid_t child = test::start_process([] {
    memory::Regions regions;
    application();
    const auto gpus = find(regions);
    const Memory memory(Kind::device, 1000);
    gpus->look(memory.data());
    const std::uint64_t asked = calls("cuPointerGetAttributes");
    gpus->look(memory.data() + 500);
    gpus->look(&regions);
    EXPECT_EQ(calls("cuPointerGetAttributes"), asked + 2);
  });
  EXPECT_EQ(test::end_of(child), 0);
}

TEST_F(DeviceDrivers, ThatCannotPinHaveBytesBounced) {
  const pid_t child = test::start_process([] {
    set("EMULATED_CUDA_FAIL", "cuMemHostRegister");
    application();
    const Rows rows;
    const Memory memory(Kind::device, kRuns * kStride);
    memory.write(Rows::content());
    std::vector<std::byte> staging(static_cast<std::size_t>(rows.blocks.bytes));
    memory::Regions regions;
    const auto entry = regions.add(staging);
    const auto gpus = find(regions);
    const auto queue = gpus->make_queue(gpus->look(memory.data()));
    const auto mirror = rows.mirror(*queue);
    for (int again = 1; again <= 3; ++again) {
      std::fill(staging.begin(), staging.end(), std::byte{0});
      EXPECT_TRUE(queue->gather(side_of(memory.data(), *mirror), staging.data(), staging.size()));
      queue->wait();
      EXPECT_TRUE(staging == rows.gathered());
      EXPECT_EQ(queue->traffic().bounced, again * rows.blocks.bytes);
    }
    EXPECT_EQ(calls("cuMemHostRegister"), 1u);
  });
  EXPECT_EQ(test::end_of(child), 0);
}

TEST_F(DeviceDrivers, WithoutMemoryOperationsHoldStreamsByHostFunctions) {
  const pid_t child = test::start_process([] {
    set("EMULATED_CUDA_FAIL", "cuStreamWaitValue32");
    Application& app = application();
    CUstream stream = nullptr;
    app.must(app.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    memory::Regions regions;
    const auto gpus = find(regions);
    for (int round = 0; round < 50; ++round) {
      const auto hold = gpus->hold(stream);
      const auto mark = gpus->mark(stream);
      Status status;
      std::this_thread::sleep_for(std::chrono::milliseconds(round == 0 ? 20 : 0));
      EXPECT_FALSE(mark->reached(status));
      hold->release();
      while (!mark->reached(status) && status.ok()) std::this_thread::yield();
      EXPECT_TRUE(status.ok());
    }
    EXPECT_GE(calls("cuLaunchHostFunc"), 50u);
  });
  EXPECT_EQ(test::end_of(child), 0);
}

}  // namespace
}  // namespace mpix::device::testing
