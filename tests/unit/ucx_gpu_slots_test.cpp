// SPDX-License-Identifier: BSD-3-Clause
// Chunks in memory of GPUs, which here is the host's.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tests/unit/ucx_support.hpp"

namespace mpix::transport::ucx {
namespace {

constexpr std::uint64_t kGpu = 3, kOther = 4, kFull = 5;
constexpr std::int64_t kTotal = 5 * kSlots * kChunkBytes + 77;

class FakeMemory final : public memory::GpuMemory {
 public:
  std::shared_ptr<std::byte> allocate(std::uint64_t gpu, std::size_t bytes) override {
    if (gpu == kFull) throw Error(Code::no_memory, "it is full");
    ++allocations;
    std::vector<std::byte>& made = memory_[gpu];
    made.resize(bytes);
    return {std::shared_ptr<void>(), made.data()};
  }
  void copy_to_host(std::uint64_t gpu, std::byte* to, const std::byte* from, std::size_t bytes) override {
    EXPECT_TRUE(holds(gpu, from));
    if (broken) throw Error(Code::internal, "the GPU is broken");
    std::memcpy(to, from, bytes);
    ++copies;
  }
  bool lives(std::uint64_t gpu) noexcept override { return gpu != dead; }
  bool is_cuda() const noexcept override { return false; }

  bool holds(std::uint64_t gpu, const std::byte* address) const {
    const auto found = memory_.find(gpu);
    if (found == memory_.end()) return false;
    const std::span<const std::byte> all(found->second);
    return address >= all.data() && address < all.data() + all.size();
  }

  int allocations = 0, copies = 0;
  bool broken = false;
  std::uint64_t dead = 0;

 private:
  std::map<std::uint64_t, std::vector<std::byte>> memory_;
};

/// Two ranks, with GPUs; messages of some size go by rendezvous.
class GpuSlots : public testing::Test {
 protected:
  GpuSlots() {
    ::setenv("UCX_RNDV_THRESH", "8192", 1);
    Config config = small_config();
    config.net_gpu_memory = Choice::on;
    std::vector<std::shared_ptr<UcxWorker>> workers;
    for (FakeMemory& memory : memories_)
      workers.push_back(std::make_shared<UcxWorker>(config, WorkerParts{{}, nullptr, &memory}));
    ::unsetenv("UCX_RNDV_THRESH");
    ranks_ = std::make_unique<Ranks>(std::move(workers));
    sending_ = ranks_->make(0);
    receiving_ = ranks_->make(1);
  }

  /// Sends kTotal bytes from rank 0, as `writer` to `reader`, who was expected to be `expected`. Counts the
  /// rooms and payloads that lie in memory of GPU kGpu.
  void exchange(By writer, By expected, By reader) {
    Sender sender{sending_->connect(1), 0, kTotal, 0, writer, [&](const std::byte* room) {
                    written_ += memories_[0].holds(kGpu, room) ? 1 : 0;
                  }};
    Receiver receiver{receiving_->connect(0), 0, kTotal, 0, reader, [&](const std::byte* payload) {
                        ++chunks_;
                        read_ += memories_[1].holds(kGpu, payload) ? 1 : 0;
                      }};
    receiver.channel.expect(kTotal, expected);
    const bool complete = ranks_->progress_until([&] {
      sender.step();
      receiver.step();
      return receiver.received == kTotal && sender.channel.flushed();
    });
    ASSERT_TRUE(complete);
  }

  FakeMemory memories_[2];
  std::unique_ptr<Ranks> ranks_;
  std::unique_ptr<UcxTransport> sending_, receiving_;
  int chunks_ = 0, written_ = 0, read_ = 0;
};

TEST_F(GpuSlots, ChunksOfGpusLieThere) {
  exchange(By::gpu_alone(kGpu), By::gpu_alone(kGpu), By::gpu_alone(kGpu));
  EXPECT_EQ(written_, chunks_);
  EXPECT_GE(read_, chunks_ - 2) << "the last may be too short for a rendezvous, and the first come too early";
  for (const FakeMemory& memory : memories_) EXPECT_EQ(memory.allocations, 1);
}

TEST_F(GpuSlots, TheHostGetsItsOwn) {
  exchange(By::gpu_alone(kGpu), By{}, By{});
  EXPECT_EQ(written_, chunks_);
  EXPECT_EQ(read_, 0);
  EXPECT_EQ(memories_[1].allocations, 0);
}

TEST_F(GpuSlots, WhatTheHostWritesOrReadsTooDoesNotLieThere) {
  exchange(By{kGpu, true}, By{kGpu, true}, By{kGpu, true});
  EXPECT_EQ(written_ + read_, 0);
  EXPECT_EQ(memories_[0].allocations + memories_[1].allocations, 0);
}

TEST_F(GpuSlots, AnUnexpectedReaderGetsACopy) {
  for (const By reader : {By{}, By::gpu_alone(kOther)}) {
    memories_[1].copies = chunks_ = 0;
    exchange(By{}, By::gpu_alone(kGpu), reader);
    EXPECT_EQ(memories_[1].copies, 0) << "chunks of the host come eagerly";
    exchange(By::gpu_alone(kGpu), By::gpu_alone(kGpu), reader);
    EXPECT_GT(memories_[1].copies, 0);
  }
  EXPECT_EQ(read_, 0);
}

TEST_F(GpuSlots, WithoutMemoryThereTheHostsDoes) {
  exchange(By::gpu_alone(kFull), By::gpu_alone(kFull), By::gpu_alone(kFull));
  EXPECT_EQ(memories_[0].allocations + memories_[1].allocations, 0);
}

/// A chunk that a kernel may be reading stays where it is, whoever else looks for chunks of his own.
TEST_F(GpuSlots, AnotherExchangeTakesNothingAway) {
  Channel& from = receiving_->connect(0);
  from.expect(2 * kChunkBytes, By::gpu_alone(kGpu));
  Sender sender{sending_->connect(1), 0, kChunkBytes, 0, By::gpu_alone(kGpu)};
  const ChunkView* view = nullptr;
  ASSERT_TRUE(ranks_->progress_until([&] {
    sender.step();
    return (view = from.chunk(0, By::gpu_alone(kGpu), 1)) != nullptr;
  }));
  const std::byte* const given = view->payload;
  for (const By other : {By{}, By::gpu_alone(kOther)}) {
    view = from.chunk(0, other, 2);
    ASSERT_NE(view, nullptr);
    EXPECT_EQ(view->header.exchange, 1U);
  }
  Sender more{sending_->connect(1), 9, kChunkBytes, 0, By::gpu_alone(kGpu)};
  ASSERT_TRUE(ranks_->progress_until([&] {
    more.step();
    return (view = from.chunk(1, By::gpu_alone(kGpu), 1)) != nullptr;
  }));
  EXPECT_NE(view->payload, given);
  for (std::int64_t i = 0; i < kChunkBytes; ++i) ASSERT_EQ(given[i], pattern(0, i)) << i;
  EXPECT_EQ(memories_[1].copies, 0);
}

/// Even where the peer sends before it is said who will read.
TEST_F(GpuSlots, MemoryThatIsGoneIsNotUsed) {
  exchange(By::gpu_alone(kGpu), By::gpu_alone(kGpu), By::gpu_alone(kGpu));
  EXPECT_GT(read_, 0);
  for (FakeMemory& memory : memories_) memory.dead = kGpu;
  written_ = read_ = 0;
  exchange(By::gpu_alone(kGpu), By::gpu_alone(kGpu), By{});
  EXPECT_EQ(written_ + read_, 0);
  exchange(By::gpu_alone(kOther), By::gpu_alone(kOther), By::gpu_alone(kOther));
  for (const FakeMemory& memory : memories_) EXPECT_EQ(memory.allocations, 1);
}

/// Of the exchange that it concerns: what follows on the channel is as before.
TEST_F(GpuSlots, AGpuThatBreaksIsAnError) {
  memories_[1].broken = true;
  Channel& from = receiving_->connect(0);
  from.expect(kChunkBytes, By::gpu_alone(kGpu));
  Sender sender{sending_->connect(1), 0, kChunkBytes, 0, By::gpu_alone(kGpu)};
  ASSERT_TRUE(ranks_->progress_until([&] {
    sender.step();
    return from.chunk(0, By{}, 1) != nullptr;
  }));
  for (int again = 0; again < 2; ++again) EXPECT_TRUE(from.chunk(0, By{}, 1)->lost);
  EXPECT_TRUE(from.check_peer().ok());
  from.pop_chunk();
  memories_[1].broken = false;
  exchange(By::gpu_alone(kGpu), By::gpu_alone(kGpu), By{});
}

TEST(GpuMemory, IsUsedWhereItPays) {
  FakeMemory memory;
  Config config = small_config();
  const auto reason = [&](Choice choice, memory::GpuMemory* gpus) {
    config.net_gpu_memory = choice;
    const UcxWorker worker(config, {{}, nullptr, gpus});
    return worker.gpu_memory_unused();
  };
  EXPECT_EQ(reason(Choice::on, &memory), "");
  EXPECT_NE(reason(Choice::on, nullptr).find("no GPUs"), std::string::npos);
  EXPECT_FALSE(devices_reach("no_such_device", UCS_MEMORY_TYPE_HOST));
  EXPECT_NE(reason(Choice::off, &memory).find("MPIX_LAYOUT_NET_GPU_MEMORY"), std::string::npos);
}

}  // namespace
}  // namespace mpix::transport::ucx
