// SPDX-License-Identifier: BSD-3-Clause
/// A transport between any number of ranks in one process, for tests of the engine. It is as strict as a
/// transport may be: few messages are taken at a time, chunks need the reader's credit, and every breach of
/// the contract in transport.hpp is noted. Ranks may run in one thread or in a thread each.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tests/support/fake_gpus.hpp"
#include "transport/transport.hpp"

namespace mpix::test {

struct LoopbackOptions {
  std::size_t inline_limit = 64;
  std::size_t chunk_limit = 4096;
  std::size_t unread_announcements = 2;  ///< of one pair and direction
  std::size_t unread_chunks = 3;
  std::size_t slots =
      0;  ///< chunks of a rank that nobody has popped yet, to all peers together; 0: any number
  bool same_node = false;
  bool credit = true;         ///< chunks need what the reader said by expect()
  std::int64_t standing = 0;  ///< bytes that may come beyond that
  FakeGpus* gpus = nullptr;   ///< payloads that only a GPU writes or reads lie in its memory; null: none do
};

/// One direction between two ranks.
struct Wire {
  struct Message {
    transport::Announcement announcement;
    transport::Chunk chunk;
    std::vector<std::byte> payload;
    std::unique_ptr<Adopted> on_gpu = nullptr;  ///< the payload, once a GPU is to read it
  };
  std::mutex mutex;
  std::deque<Message> announcements, chunks;
  std::vector<std::byte> note;
  std::uint64_t chunks_sent = 0, chunks_popped = 0;
  std::int64_t credit = 0;  ///< bytes that the reader wants and the sender has not yet sent
};

class Loopback;

class LoopbackChannel final : public transport::Channel {
 public:
  LoopbackChannel(Loopback& network, int rank, int peer, Wire& out, Wire& in);

  bool same_node() const noexcept override;
  std::uint32_t abilities() const noexcept override { return 0; }
  std::size_t inline_limit() const noexcept override;
  std::size_t chunk_limit() const noexcept override;
  std::byte* announce_begin() noexcept override;
  Status announce_commit(const transport::Announcement& announcement) noexcept override;
  const transport::AnnouncementView* announcement() noexcept override;
  void pop_announcement() noexcept override;
  std::span<std::byte> chunk_begin(std::size_t want, transport::By writer) noexcept override;
  Status chunk_commit(const std::byte* room, const transport::Chunk& chunk) noexcept override;
  void chunk_cancel(const std::byte* room) noexcept override;
  std::uint64_t chunks_sent() const noexcept override;
  std::uint64_t chunks_drained() noexcept override;
  bool flushed() noexcept override { return true; }
  void expect(std::int64_t bytes, transport::By) noexcept override;
  const transport::ChunkView* chunk(std::size_t ahead, transport::By reader,
                                    std::uint64_t exchange) noexcept override;
  void pop_chunk() noexcept override;
  void leave_note(std::span<const std::byte> note) noexcept override;
  std::span<const std::byte> note() noexcept override;
  Status check_peer() noexcept override;

 private:
  using Room = std::unique_ptr<std::byte[], void (*)(void*)>;
  struct OpenRoom {
    Room room;
    std::size_t bytes;
    std::unique_ptr<Adopted> on_gpu;
  };

  void breach(const std::string& what) noexcept;
  void check_chunk(const transport::Chunk& chunk, std::size_t room) noexcept;
  OpenRoom close(const std::byte* room, const char* what) noexcept;

  Loopback& network_;
  int rank_, peer_;
  Wire& out_;
  Wire& in_;
  std::vector<std::byte> announce_room_;
  std::vector<OpenRoom> open_;  ///< what chunk_begin gave
  bool announcing_ = false;
  std::uint64_t last_announced_ = 0;
  std::map<std::uint64_t, std::int64_t> announced_, sent_;  ///< bytes by exchange
  transport::AnnouncementView announcement_;
  transport::ChunkView chunk_;
};

class LoopbackTransport final : public transport::Transport {
 public:
  LoopbackTransport(Loopback& network, int rank) : network_(network), rank_(rank) {}
  const char* name() const noexcept override { return "loopback"; }
  transport::Channel& connect(int peer) override;
  Status progress(bool&) noexcept override { return {}; }

 private:
  Loopback& network_;
  int rank_;
  std::map<int, std::unique_ptr<LoopbackChannel>> channels_;
};

/// All ranks' transports.
class Loopback {
 public:
  Loopback(int ranks, const LoopbackOptions& options);

  transport::Transport& transport(int rank) { return *transports_[static_cast<std::size_t>(rank)]; }
  const LoopbackOptions& options() const { return options_; }
  Wire& wire(int from, int to) { return *wires_[static_cast<std::size_t>(from * ranks_ + to)]; }
  /// Takes or gives back one of the slots of `rank`.
  bool take_slot(int rank);
  void give_slot(int rank);
  /// From now on check_peer() finds `rank` gone.
  void kill(int rank);
  bool alive(int rank);
  void note_breach(const std::string& what);
  /// Memory that nobody should use any more; not to be given to anybody else.
  void keep(std::vector<std::byte> memory);
  /// What the users of the channels did against the contract.
  std::vector<std::string> breaches();

 private:
  int ranks_;
  LoopbackOptions options_;
  std::vector<std::unique_ptr<Wire>> wires_;
  std::vector<std::unique_ptr<LoopbackTransport>> transports_;
  std::mutex mutex_;
  std::vector<bool> alive_;
  std::vector<std::size_t> slots_taken_;
  std::vector<std::string> breaches_;
  std::vector<std::vector<std::byte>> kept_;
};

}  // namespace mpix::test
