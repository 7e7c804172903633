// SPDX-License-Identifier: BSD-3-Clause
/// Ranks with UCX workers in one process, and what they send each other.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

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

/// A rank in a process of its own; talks over two pipes.
class Child {
 public:
  template <typename Body>
  explicit Child(Body body) {
    EXPECT_EQ(::pipe(to_parent_), 0);
    EXPECT_EQ(::pipe(to_child_), 0);
    pid_ = ::fork();
    if (pid_ != 0) return;
    body(*this);
    ::_exit(0);
  }
  ~Child() {
    kill();
    for (int fd : {to_parent_[0], to_parent_[1], to_child_[0], to_child_[1]}) ::close(fd);
  }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(std::exchange(pid_, 0), nullptr, 0);
  }
  std::vector<std::byte> swap_addresses(std::span<const std::byte> own) const {
    const int out = pid_ == 0 ? to_parent_[1] : to_child_[1];
    const int in = pid_ == 0 ? to_child_[0] : to_parent_[0];
    const std::size_t bytes = own.size();
    EXPECT_EQ(::write(out, &bytes, sizeof bytes), static_cast<ssize_t>(sizeof bytes));
    EXPECT_EQ(::write(out, own.data(), bytes), static_cast<ssize_t>(bytes));
    std::size_t theirs = 0;
    EXPECT_EQ(::read(in, &theirs, sizeof theirs), static_cast<ssize_t>(sizeof theirs));
    std::vector<std::byte> address(theirs);
    EXPECT_EQ(::read(in, address.data(), theirs), static_cast<ssize_t>(theirs));
    return address;
  }
  void tell(std::int64_t what) const {
    EXPECT_EQ(::write(pid_ == 0 ? to_parent_[1] : to_child_[1], &what, sizeof what),
              static_cast<ssize_t>(sizeof what));
  }
  /// Waits for what the other process tells.
  std::int64_t hear() const {
    std::int64_t what = -1;
    EXPECT_EQ(::read(pid_ == 0 ? to_child_[0] : to_parent_[0], &what, sizeof what),
              static_cast<ssize_t>(sizeof what));
    return what;
  }

 private:
  int to_parent_[2]{-1, -1}, to_child_[2]{-1, -1};
  pid_t pid_ = -1;
};

}  // namespace mpix::transport::ucx
