// SPDX-License-Identifier: BSD-3-Clause
/// The engine with buffers in memory of GPUs, in any mixture with the host's, whose copies end when they
/// like.
#include <chrono>

#include "tests/engine/engine_fixture.hpp"

namespace mpix::test {
namespace {

class GpuEngineTest : public EngineTest {
 protected:
  static constexpr GpuFaults kUnwilling{.refuse = 30, .linger = 60};

  WorldOptions gpu_options(int ranks, FakeGpus& gpus) {
    WorldOptions options = random_options(ranks);
    options.loopback.chunk_limit = static_cast<std::size_t>(rng.between(400, 5000));  // room for descriptors
    options.gpus = &gpus;
    options.gpu_share = static_cast<int>(rng.between(20, 100));
    if (!options.loopback.same_node && rng.chance(50)) options.loopback.gpus = &gpus;
    return options;
  }
  /// Ranks of one node, all buffers in memory of GPUs.
  static WorldOptions node_options(int ranks, FakeGpus& gpus) {
    WorldOptions options;
    options.ranks = ranks;
    options.loopback.same_node = true;
    options.loopback.credit = false;
    options.gpus = &gpus;
    options.gpu_share = 100;
    return options;
  }
};

TEST_F(GpuEngineTest, RandomExchanges) {
  for (const int ranks : {1, 2, 3, 5, 8})
    for (int round = 0; round < 25; ++round) {
      FakeGpus gpus(rng.bits(), kUnwilling);
      World world(gpu_options(ranks, gpus));
      for (int k = 0; k < 4; ++k) {
        std::vector<Task> tasks = world.prepare(rng, random_traffic(rng, ranks, k == 3 ? 60000 : 3000));
        ASSERT_TRUE(world.run_one(rng, tasks)) << "hangs with " << ranks << " ranks";
        expect_right(tasks);
      }
      expect_contract(world);
    }
}

TEST_F(GpuEngineTest, InPlace) {
  for (const int ranks : {1, 2, 3, 5})
    for (int round = 0; round < 30; ++round) {
      FakeGpus gpus(rng.bits(), kUnwilling);
      World world(gpu_options(ranks, gpus));
      std::vector<Task> tasks = world.prepare(rng, random_traffic(rng, ranks, 20000, true), true);
      for (Task& task : tasks) task.send_on_gpu = false;
      ASSERT_TRUE(world.run_one(rng, tasks, true)) << "hangs with " << ranks << " ranks";
      expect_right(tasks);
      expect_contract(world);
    }
}

TEST_F(GpuEngineTest, UnwillingTransport) {
  for (const int ranks : {2, 3, 5})
    for (const bool in_place : {false, true})
      for (int round = 0; round < 20; ++round) {
        FakeGpus gpus(rng.bits(), kUnwilling);
        WorldOptions options = gpu_options(ranks, gpus);
        options.faults = {.seed = rng.bits(), .refuse = 60, .hide = 60, .unflushed = 50};
        World world(options);
        for (int k = 0; k < 3; ++k) {
          std::vector<Task> tasks = world.prepare(rng, random_traffic(rng, ranks, 4000, in_place), in_place);
          for (Task& task : tasks) task.send_on_gpu &= !in_place;
          ASSERT_TRUE(world.run_one(rng, tasks, in_place)) << "hangs with " << ranks << " ranks";
          expect_right(tasks);
        }
        expect_contract(world);
      }
}

TEST_F(GpuEngineTest, SeveralInFlight) {
  for (const int ranks : {1, 2, 3, 5})
    for (int round = 0; round < 20; ++round) {
      FakeGpus gpus(rng.bits(), kUnwilling);
      World world(gpu_options(ranks, gpus));
      expect_several_work(world, 5, 8000);
      if (HasFatalFailure()) return;
    }
}

/// Inside a node what one GPU has another one reads itself, once each has been told how; one descriptor a
/// pair, and a number of launches that depends neither on the blocks nor on the peers.
TEST_F(GpuEngineTest, ImportsAndLaunches) {
  const GpuFaults faults;
  for (const int ranks : {2, 4, 8}) {
    FakeGpus gpus(rng.bits(), faults);
    World world(node_options(ranks, gpus));
    for (int k = 0; k < 4; ++k) {
      std::vector<Task> tasks =
          world.prepare(rng, k == 0 ? even_traffic(ranks, 100) : random_traffic(rng, ranks, 30000));
      ASSERT_TRUE(world.run_one(rng, tasks));
      expect_right(tasks);
      if (k == 0) continue;  // notes are left meanwhile
      for (const Task& task : tasks) {
        EXPECT_EQ(task.traffic.ring, 0);
        EXPECT_EQ(task.traffic.imported + task.traffic.self, task.send_layout->bytes());
        EXPECT_LE(task.traffic.chunks, ranks - 1);
        EXPECT_LE(task.traffic.launches, ranks + 1);
      }
    }
  }
}

TEST_F(GpuEngineTest, WithoutExportOrImport) {
  for (const GpuFaults faults : {GpuFaults{.no_export = true}, GpuFaults{.no_import = true}}) {
    FakeGpus gpus(rng.bits(), faults);
    World world(node_options(3, gpus));
    for (int k = 0; k < 3; ++k) {
      std::vector<Task> tasks = world.prepare(rng, random_traffic(rng, 3, 30000));
      ASSERT_TRUE(world.run_one(rng, tasks));
      expect_right(tasks);
      for (const Task& task : tasks) EXPECT_EQ(task.traffic.imported, 0);
    }
  }
}

/// Where memory cannot be imported although a trial has shown that it can, the receiver fails, the sender
/// goes on, and later exchanges go another way.
TEST_F(GpuEngineTest, FailingImport) {
  FakeGpus gpus(rng.bits(), {.import_probes = true});
  World world(node_options(3, gpus));
  int failed = 0;
  for (int k = 0; k < 8; ++k) {  // each has told the others of its memory after a few
    std::vector<Task> tasks = world.prepare(rng, even_traffic(3, 3000));
    ASSERT_TRUE(world.run_one(rng, tasks)) << "hangs";
    for (const Task& task : tasks) {
      failed += task.result.ok() ? 0 : 1;
      EXPECT_TRUE(task.result.ok() ? task.recv == task.expected : task.result.code() == Code::peer)
          << task.result.message();
    }
    if (k == 7) expect_right(tasks);
  }
  EXPECT_GE(failed, 3);
}

/// Nothing begins before a stream has come to the exchange, and the stream is held until the end.
TEST_F(GpuEngineTest, OnStream) {
  for (int round = 0; round < 20; ++round) {
    FakeGpus gpus(rng.bits(), kUnwilling);
    World world(gpu_options(3, gpus));
    std::vector<Task> tasks = world.prepare(rng, random_traffic(rng, 3, 9000));
    FakeStream stream;
    const std::vector<std::byte> before = tasks[1].recv, sent = tasks[1].send;
    tasks[1].recv_on_gpu = tasks[1].send_on_gpu = false;
    tasks[1].send.assign(sent.size(), std::byte{0});  // what is sent is made by the stream
    for (const int rank : {0, 2}) world.start(rank, tasks[at(rank)]);
    const int prepared = gpus.prepared_times();
    tasks[1].recv_on_gpu = round % 2 == 0 && tasks[1].recv_layout->bytes() > 0;
    world.start(1, tasks[1], false, [&]() -> engine::OnStream {
      EXPECT_EQ(gpus.prepared_times() - prepared, tasks[1].recv_on_gpu ? 1 : 0) << "set up behind the hold";
      return {gpus.mark(&stream), gpus.hold(&stream)};
    });
    for (int i = 0; i < 300; ++i) world.step(rng.index(3));
    const bool idle =
        tasks[1].send_layout->bytes() + tasks[1].recv_layout->bytes() == 0;  // has nothing to do
    EXPECT_TRUE(stream.held || idle);
    EXPECT_TRUE(tasks[1].recv_on_gpu || tasks[1].recv == before) << "received before the stream was there";
    tasks[1].send = sent;
    stream.reached = true;
    ASSERT_TRUE(world.run(rng, {&tasks}));
    EXPECT_FALSE(stream.held);
    tasks[1].expected.resize(tasks[1].recv.size());
    expect_right(tasks);
  }
}

/// What comes before an exchange on its stream may take longer than an exchange may.
TEST_F(GpuEngineTest, StreamsTakeTheirTime) {
  FakeGpus gpus(rng.bits(), {});
  WorldOptions options = gpu_options(1, gpus);
  options.timeout = 0.1;
  World world(options);
  std::vector<Task> tasks = world.prepare(rng, even_traffic(1, 1000));
  FakeStream stream;
  world.start(0, tasks[0], false, [&]() -> engine::OnStream {
    return {gpus.mark(&stream), gpus.hold(&stream)};
  });
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(400);
  while (std::chrono::steady_clock::now() < end) world.step(0);
  EXPECT_TRUE(stream.held);
  stream.reached = true;
  ASSERT_TRUE(world.run(rng, {&tasks}));
  expect_right(tasks);
}

/// A GPU that fails ends its rank's exchange with an error; the others time out at the latest, and what they
/// take for complete is right.
TEST_F(GpuEngineTest, FailingGpu) {
  for (int round = 0; round < 60; ++round) {
    const bool in_place = round % 4 == 3;
    FakeGpus gpus(rng.bits(), {.linger = 60, .fail_launch = 1 + round % 6});
    WorldOptions options = gpu_options(3, gpus);
    options.gpu_share = 100;
    options.timeout = 0.1;
    World world(options);
    const std::int64_t most = round % 2 == 0 ? 2000 : 40000;
    std::vector<Task> tasks = world.prepare(rng, random_traffic(rng, 3, most, in_place), in_place);
    for (Task& task : tasks) task.send_on_gpu &= !in_place;
    ASSERT_TRUE(world.run_one(rng, tasks, in_place)) << "hangs";
    for (Task& task : tasks) {
      const Code code = task.result.code();
      EXPECT_TRUE(code == Code::ok || code == Code::internal || code == Code::timeout)
          << task.result.message();
      task.expected.resize(task.recv.size());
      EXPECT_TRUE(code != Code::ok || task.recv == task.expected) << "launch " << 1 + round % 6;
    }
  }
}

}  // namespace
}  // namespace mpix::test
