// SPDX-License-Identifier: BSD-3-Clause
/// The relays of a node's ranks in one process, and the transports between them: queues with little room.
#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "engine/relay.hpp"
#include "tests/support/rng.hpp"

namespace mpix::engine {

/// One direction from a rank to another.
struct Queue {
  struct Message {
    transport::Chunk chunk;
    std::vector<std::byte> payload;
  };
  std::deque<Message> chunks;
  std::vector<std::size_t> lists;  ///< bytes of lists of every packet so far
};

/// A channel in which nothing ever comes.
class SilentChannel : public transport::Channel {
 public:
  bool same_node() const noexcept override { return false; }
  std::uint32_t abilities() const noexcept override { return 0; }
  std::size_t inline_limit() const noexcept override { return 0; }
  std::byte* announce_begin() noexcept override { return nullptr; }
  Status announce_commit(const transport::Announcement&) noexcept override { return {}; }
  const transport::AnnouncementView* announcement() noexcept override { return nullptr; }
  void pop_announcement() noexcept override {}
  void chunk_cancel(const std::byte*) noexcept override {}
  std::uint64_t chunks_sent() const noexcept override { return 0; }
  std::uint64_t chunks_drained() noexcept override { return 0; }
  bool flushed() noexcept override { return true; }
  void expect(std::int64_t, transport::By) noexcept override {}
  const transport::ChunkView* chunk(std::size_t, transport::By, std::uint64_t) noexcept override {
    return nullptr;
  }
  void pop_chunk() noexcept override {}
  Status check_peer() noexcept override { return {}; }
};

/// What one rank has of two queues. Has no room now and then.
class QueueChannel final : public SilentChannel {
 public:
  QueueChannel(test::Rng& rng, std::size_t limit, Queue& out, Queue& in)
      : rng_(rng), limit_(limit), out_(out), in_(in) {}

  bool same_node() const noexcept override { return true; }
  std::size_t chunk_limit() const noexcept override { return limit_; }
  std::span<std::byte> chunk_begin(std::size_t want, transport::By) noexcept override {
    if (out_.chunks.size() >= kWindow || rng_.chance(20)) return {};
    room_.assign(std::min(want, limit_), std::byte{0xee});
    return room_;
  }
  Status chunk_commit(const std::byte*, const transport::Chunk& chunk) noexcept override {
    PacketHeader header;
    std::memcpy(&header, room_.data(), sizeof header);
    out_.lists.push_back(header.lists);
    out_.chunks.push_back({chunk, {room_.begin(), room_.begin() + chunk.payload_bytes}});
    return {};
  }
  const transport::ChunkView* chunk(std::size_t, transport::By, std::uint64_t) noexcept override {
    if (in_.chunks.empty()) return nullptr;
    view_ = {in_.chunks.front().chunk, in_.chunks.front().payload.data()};
    return &view_;
  }
  void pop_chunk() noexcept override { in_.chunks.pop_front(); }

 private:
  static constexpr std::size_t kWindow = 3;

  test::Rng& rng_;
  std::size_t limit_;
  Queue& out_;
  Queue& in_;
  std::vector<std::byte> room_;
  transport::ChunkView view_;
};

/// All queues of a job; by (from, to).
class Queues {
 public:
  Queues(test::Rng& rng, std::size_t limit) : rng_(rng), limit_(limit) {}
  Queue& queue(int from, int to) { return queues_[{from, to}]; }
  std::unique_ptr<QueueChannel> channel(int from, int to) {
    return std::make_unique<QueueChannel>(rng_, limit_, queue(from, to), queue(to, from));
  }

 private:
  test::Rng& rng_;
  std::size_t limit_;
  std::map<std::pair<int, int>, Queue> queues_;
};

class QueueTransport final : public transport::Transport {
 public:
  QueueTransport(Queues& queues, int rank) : queues_(queues), rank_(rank) {}
  const char* name() const noexcept override { return "queues"; }
  transport::Channel& connect(int peer) override {
    auto& channel = channels_[peer];
    if (channel == nullptr) channel = queues_.channel(rank_, peer);
    return *channel;
  }
  Status progress(bool&) noexcept override { return {}; }

 private:
  Queues& queues_;
  int rank_;
  std::map<int, std::unique_ptr<QueueChannel>> channels_;
};

}  // namespace mpix::engine
