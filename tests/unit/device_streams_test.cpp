// SPDX-License-Identifier: BSD-3-Clause
// Points in streams of an application: marks that are reached, holds that are released.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/unit/device_support.hpp"

namespace mpix::device::testing {
namespace {

using namespace std::chrono_literals;

class DeviceStreams : public ::testing::Test {
 protected:
  void SetUp() override {
    Application& app = application();
    app.must(app.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    gpus = find(regions);
  }
  void TearDown() override {
    EXPECT_EQ(application().cuStreamDestroy(stream), CUDA_SUCCESS);
    CUcontext current = nullptr;
    EXPECT_EQ(application().cuCtxGetCurrent(&current), CUDA_SUCCESS);
    EXPECT_EQ(current, application().context);
  }
  static bool reached(Mark& mark) {
    Status status;
    const bool is = mark.reached(status);
    EXPECT_TRUE(status.ok()) << status.message();
    return is;
  }
  static void await(Mark& mark) {
    while (!reached(mark)) std::this_thread::yield();
  }

  /// 64 bytes.
  static kernels::Blocks contiguous() {
    kernels::Blocks blocks;
    blocks.form = kernels::Form::strided;
    blocks.bytes = blocks.run = 64;
    blocks.nruns = 1;
    return blocks;
  }

  const kernels::Blocks blocks = contiguous();
  const kernels::Blocks* const contiguous_list[1] = {&blocks};
  CUstream stream = nullptr;
  memory::Regions regions;
  std::unique_ptr<Gpus> gpus;
};

TEST_F(DeviceStreams, MarksOfIdleStreamsAreReached) {
  for (CUstream any : {stream, CUstream(nullptr), CU_STREAM_LEGACY, CU_STREAM_PER_THREAD}) {
    const auto mark = gpus->mark(any);
    await(*mark);
    EXPECT_TRUE(reached(*mark));
  }
}

TEST_F(DeviceStreams, NothingPassesAHoldBeforeItsRelease) {
  const Memory memory(Kind::device, 8), from(Kind::pinned, 8), to(Kind::pinned, 8);
  std::fill_n(from.data(), 8, std::byte{7});
  std::fill_n(to.data(), 8, std::byte{0});
  const auto before = gpus->mark(stream);
  const auto hold = gpus->hold(stream);
  Application& app = application();
  const auto place = reinterpret_cast<CUdeviceptr>(memory.data());
  app.must(app.cuMemcpyHtoDAsync(place, from.data(), 8, stream));
  app.must(app.cuMemcpyDtoHAsync(to.data(), place, 8, stream));
  const auto after = gpus->mark(stream);
  await(*before);
  std::this_thread::sleep_for(50ms);
  EXPECT_FALSE(reached(*after));
  EXPECT_EQ(to.data()[0], std::byte{0});
  std::fill_n(from.data(), 8, std::byte{9});
  hold->release();
  await(*after);
  EXPECT_EQ(to.data()[0], std::byte{9});
}

TEST_F(DeviceStreams, HoldsAreReleasedInAnyOrderByAnyThread) {
  const auto first = gpus->hold(stream);
  const auto between = gpus->mark(stream);
  auto second = gpus->hold(stream);
  const auto after = gpus->mark(stream);
  second.reset();  // releases
  std::this_thread::sleep_for(20ms);
  EXPECT_FALSE(reached(*between));
  std::thread([&] { first->release(); }).join();
  await(*between);
  await(*after);
  first->release();  // again
}

TEST_F(DeviceStreams, ManyHolds) {
  for (int round = 0; round < 300; ++round) {
    const auto hold = gpus->hold(stream);
    const auto mark = gpus->mark(stream);
    EXPECT_TRUE(round % 50 != 0 || !reached(*mark));
    hold->release();
    await(*mark);
  }
}

TEST_F(DeviceStreams, StreamsGoOnWhenTheGpusGo) {
  (void)gpus->probe(0);  // whose memory is freed
  auto hold = gpus->hold(stream);
  gpus.reset();
  EXPECT_EQ(application().cuStreamSynchronize(stream), CUDA_SUCCESS);
  hold->release();
}

TEST_F(DeviceStreams, FreeingWaitsForNoHold) {
  const Memory memory(Kind::device, 8);
  auto queue = gpus->make_queue(gpus->look(memory.data()));
  const std::int64_t offsets[] = {0, 4};
  kernels::Blocks pairs;
  pairs.form = kernels::Form::indexed;
  pairs.bytes = 4;
  pairs.run = 2;
  pairs.nruns = 2;
  pairs.offsets = offsets;
  const kernels::Blocks* const list[] = {&pairs};
  auto mirror = queue->mirror(list);
  queue->wait();
  const auto hold = gpus->hold(stream);
  const auto start = std::chrono::steady_clock::now();
  mirror.reset();
  queue.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
  hold->release();
  EXPECT_EQ(application().cuStreamSynchronize(stream), CUDA_SUCCESS);
}

/// Pinning may wait for streams of the application, too: what is not pinned by then takes a copy.
TEST_F(DeviceStreams, NothingIsPinnedWhileAStreamWaits) {
  const Memory memory(Kind::device, 64);
  memory.write(std::vector<std::byte>(64, std::byte{5}));
  std::vector<std::byte> early(64), late(64);
  const auto entry = regions.add(early);
  const auto queue = gpus->make_queue(gpus->look(memory.data()));
  const auto mirror = queue->mirror(contiguous_list);
  const auto gather = [&](std::vector<std::byte>& to) {
    ASSERT_TRUE(queue->gather({memory.data(), &(*mirror)[0], mirror.get()}, to.data(), 64));
    queue->wait();
    EXPECT_EQ(to[63], std::byte{5});
  };
  queue->prepare();
  const auto hold = gpus->hold(stream);
  const auto late_entry = regions.add(late);
  gather(early);
  EXPECT_EQ(queue->traffic().bounced, 0);
  gather(late);
  EXPECT_EQ(queue->traffic().bounced, 64);
  hold->release();
  gather(late);
  EXPECT_EQ(queue->traffic().bounced, 64);
}

/// The default mode of captures forbids other threads a good deal, but nothing that the library does.
TEST_F(DeviceStreams, CapturesAndCopiesDoNotDisturbEachOther) {
  const Memory memory(Kind::device, 64), to(Kind::pinned, 64);
  memory.write(std::vector<std::byte>(64, std::byte{5}));
  Application& app = application();
  app.must(app.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
  std::thread([&] {
    const auto queue = gpus->make_queue(gpus->look(memory.data()));
    const auto mirror = queue->mirror(contiguous_list);
    const std::optional<Ticket> ticket =
        queue->gather({memory.data(), &(*mirror)[0], mirror.get()}, to.data(), 64);
    ASSERT_TRUE(ticket);
    for (queue->flush(); !queue->done(*ticket);) queue->progress();
    EXPECT_TRUE(queue->error().ok()) << queue->error().message();
  }).join();
  EXPECT_EQ(to.data()[63], std::byte{5});
  CUgraph graph = nullptr;
  EXPECT_EQ(app.cuStreamEndCapture(stream, &graph), CUDA_SUCCESS);
}

TEST_F(DeviceStreams, NoExchangeFollowsAStreamUnderCapture) {
  Application& app = application();
  app.must(app.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
  EXPECT_THROW(gpus->mark(stream), Error);
  EXPECT_THROW(gpus->hold(stream), Error);
  CUgraph graph = nullptr;
  EXPECT_EQ(app.cuStreamEndCapture(stream, &graph), CUDA_SUCCESS);
  await(*gpus->mark(stream));
}

TEST_F(DeviceStreams, DefaultStreamsNeedACurrentContext) {
  Application& app = application();
  app.must(app.cuCtxSetCurrent(nullptr));
  EXPECT_THROW(gpus->mark(nullptr), Error);
  EXPECT_THROW(gpus->hold(nullptr), Error);
  await(*gpus->mark(stream));
  CUcontext current = nullptr;
  app.must(app.cuCtxGetCurrent(&current));
  EXPECT_EQ(current, nullptr);
  app.must(app.cuCtxSetCurrent(app.context));
}

}  // namespace
}  // namespace mpix::device::testing
