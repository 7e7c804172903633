// SPDX-License-Identifier: BSD-3-Clause
/// Ranks with UCX workers in one process, and what they send each other.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "transport/ucx/transport.hpp"

namespace mpix::transport::ucx {

inline constexpr std::int64_t kChunkBytes = 64 << 10;
inline constexpr std::int64_t kSlots = 16;

inline Config small_config() {
  Config config;
  config.net_chunk = kChunkBytes;
  config.net_staging = kSlots * kChunkBytes;
  return config;
}

inline std::byte pattern(int from, std::int64_t position) {
  return static_cast<std::byte>((position * 31 + position / 4096 + from * 7) & 0xff);
}

/// Ranks 0 to n - 1, each with a worker and any number of communicators.
class Ranks {
 public:
  explicit Ranks(int count) : Ranks(std::vector<topology::Devices>(static_cast<std::size_t>(count))) {}
  explicit Ranks(const std::vector<topology::Devices>& devices) {
    for (const topology::Devices& each : devices)
      workers_.push_back(std::make_shared<UcxWorker>(small_config(), WorkerParts{each}));
  }
  explicit Ranks(std::vector<std::shared_ptr<UcxWorker>> workers) : workers_(std::move(workers)) {}
  /// As MPI ranks do it: all at once, and each until the last one is done.
  ~Ranks() {
    std::atomic<std::size_t> done{0};
    std::vector<std::thread> threads;
    for (const auto& worker : workers_)
      threads.emplace_back([&] {
        bool counted = false;
        worker->close_endpoints([&] {
          if (!std::exchange(counted, true)) ++done;
          return done == workers_.size();
        });
      });
    for (std::thread& thread : threads) thread.join();
  }
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  std::unique_ptr<UcxTransport> make(int rank, std::uint64_t communicator = 1) {
    return std::make_unique<UcxTransport>(worker(rank), rank, communicator,
                                          [this](int peer) { return worker(peer)->address(); });
  }
  const std::shared_ptr<UcxWorker>& worker(int rank) { return workers_.at(static_cast<std::size_t>(rank)); }
  void progress() {
    for (const auto& worker : workers_) {
      bool happened = false;
      const Status status = worker->progress(happened);
      EXPECT_TRUE(status.ok()) << status.message();
    }
  }
  bool progress_until(const std::function<bool()>& condition, double seconds = 20) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      progress();
    }
    return true;
  }

 private:
  std::vector<std::shared_ptr<UcxWorker>> workers_;
};

inline bool announce(Channel& channel, std::uint64_t exchange, std::size_t inline_bytes = 0) {
  std::byte* const room = channel.announce_begin();
  if (room == nullptr) return false;
  std::memset(room, static_cast<int>(exchange), inline_bytes);
  Announcement announcement;
  announcement.exchange = exchange;
  announcement.inline_bytes = static_cast<std::uint32_t>(inline_bytes);
  const Status status = channel.announce_commit(announcement);
  EXPECT_TRUE(status.ok()) << status.message();
  return true;
}

/// Sends `total` bytes of the pattern as chunks.
struct Sender {
  Channel& channel;
  int rank;
  std::int64_t total;
  std::int64_t sent = 0;
  By writer = {};
  std::function<void(const std::byte*)> look = {};  ///< at each room

  void step() {
    while (sent < total) {
      const auto want = static_cast<std::size_t>(std::min(total - sent, kChunkBytes));
      const auto room = channel.chunk_begin(want, writer);
      if (room.empty()) return;
      if (look) look(room.data());
      for (std::size_t i = 0; i < room.size(); ++i)
        room[i] = pattern(rank, sent + static_cast<std::int64_t>(i));
      const auto bytes = static_cast<std::int64_t>(room.size());
      const Status status = channel.chunk_commit(
          room.data(), {1, sent, bytes, Payload::data, static_cast<std::uint32_t>(room.size())});
      ASSERT_TRUE(status.ok()) << status.message();
      sent += bytes;
    }
  }
};

struct Receiver {
  Channel& channel;
  int from;
  std::int64_t total;
  std::int64_t received = 0;
  By reader = {};
  std::function<void(const std::byte*)> look = {};  ///< at each payload

  void step() {
    while (const ChunkView* view = channel.chunk(0, reader)) {
      if (look) look(view->payload);
      ASSERT_EQ(view->header.offset, received);
      for (std::int64_t i = 0; i < view->header.bytes; ++i)
        ASSERT_EQ(view->payload[i], pattern(from, received + i)) << "at " << received + i;
      received += view->header.bytes;
      channel.pop_chunk();
    }
  }
};

}  // namespace mpix::transport::ucx
