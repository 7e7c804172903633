// SPDX-License-Identifier: BSD-3-Clause
/// A channel over UCX active messages. Announcements and chunks have sequence numbers, because messages of
/// different sizes may overtake each other, and are kept in the order of these until they are popped.
#pragma once

#include <array>
#include <cstdint>

#include "transport/transport.hpp"
#include "transport/ucx/worker.hpp"

namespace mpix::transport::ucx {

class UcxTransport;

inline constexpr std::uint64_t kUnreadAnnouncements = 4;
inline constexpr std::uint64_t kWindow = 32;  ///< chunks that one channel has on its way at most

class UcxChannel final : public Channel {
 public:
  UcxChannel(UcxTransport& transport, UcxWorker& worker, int peer) noexcept;

  bool same_node() const noexcept override { return false; }
  std::uint32_t abilities() const noexcept override { return 0; }
  std::size_t inline_limit() const noexcept override { return worker_.inline_limit(); }
  std::size_t chunk_limit() const noexcept override { return worker_.chunk_bytes(); }

  std::byte* announce_begin() noexcept override;
  Status announce_commit(const Announcement& announcement) noexcept override;
  const AnnouncementView* announcement() noexcept override;
  void pop_announcement() noexcept override;

  std::span<std::byte> chunk_begin(std::size_t want, By writer) noexcept override;
  Status chunk_commit(const std::byte* room, const Chunk& chunk) noexcept override;
  Status commit_both(const Announcement& announcement, const std::byte* room,
                     const Chunk& chunk) noexcept override;
  void chunk_cancel(const std::byte* room) noexcept override;
  std::uint64_t chunks_sent() const noexcept override { return chunks_sent_; }
  std::uint64_t chunks_drained() noexcept override;
  bool flushed() noexcept override;

  void expect(std::int64_t bytes, By reader) noexcept override;
  const ChunkView* chunk(std::size_t ahead, By reader, std::uint64_t exchange) noexcept override;
  void pop_chunk() noexcept override;

  Status check_peer() noexcept override;

  // For worker and transport, with the worker's lock held:
  using Lock = UcxWorker::Lock;
  bool flushed(const Lock& lock) noexcept;
  /// Whether the announcement was taken, and `data` with it.
  bool take_announcement(const AnnouncementMessage& message, void* data) noexcept;
  /// Whether there is a place for the chunk; it is filled by put_chunk() or by lose_chunk().
  bool open_chunk(const ChunkMessage& message) noexcept;
  /// Who will probably read what comes.
  By reader() const noexcept { return reader_; }
  void put_chunk(std::uint64_t sequence, void* data, Slot* slot) noexcept;
  void lose_chunk() noexcept;
  void take_credits(const Credits& credits) noexcept;
  /// A message that is awaited has left, or never will.
  void sent() noexcept { --in_flight_; }
  /// Sends the credits if they are not yet known to the peer; false if that must be tried again.
  bool send_credits(const Lock& lock) noexcept;
  void credits_due(const Lock& lock) noexcept;
  /// Gives everything back that the channel holds.
  void close(const Lock& lock) noexcept;

 private:
  struct ArrivedAnnouncement {
    bool there = false;
    AnnouncementView view;
    void* data = nullptr;
  };
  struct ArrivedChunk {
    enum class State { absent, coming, there } state = State::absent;
    ChunkView view;
    void* data = nullptr;  ///< held from UCX,
    Slot* slot = nullptr;  ///< or in a slot of this rank
  };

  Slot* close_chunk(const std::byte* room) noexcept;
  void count_announcement(std::size_t bytes) noexcept;
  void count_chunk(std::size_t bytes) noexcept;
  Prefix prefix(std::uint64_t sequence) noexcept;
  Status prepare_endpoint(const Lock& lock) noexcept;
  Status post(const Lock& lock, MessageId id, Slot*& slot, std::size_t bytes) noexcept;
  bool post_credits(const Lock& lock, bool awaited) noexcept;
  void count_sent(std::uint32_t& unread, std::size_t bytes) noexcept;
  void count_read(std::uint32_t& unread) noexcept;
  Status peer_status() const noexcept;
  ArrivedAnnouncement& arrived_announcement(std::uint64_t sequence) noexcept {
    return announcements_[sequence % kUnreadAnnouncements];
  }
  ArrivedChunk& arrived_chunk(std::uint64_t sequence) noexcept { return chunks_[sequence % kWindow]; }
  void drop(const Lock& lock, ArrivedChunk& arrived) noexcept;

  UcxTransport& transport_;
  UcxWorker& worker_;
  const int peer_;
  Endpoint* endpoint_ = nullptr;
  const char* broken_ = nullptr;  ///< what the peer did wrong
  std::uint64_t in_flight_ = 0;   ///< messages that UCX has not sent yet; those awaited

  std::uint64_t announcements_sent_ = 0, announcements_read_ = 0;
  std::uint64_t chunks_sent_ = 0, chunks_read_ = 0;
  Slot* open_announcement_ = nullptr;
  std::array<Slot*, kWindow> open_chunks_{};
  std::size_t opened_ = 0;
  Credits credits_;       ///< the newest from the peer
  Credits told_;          ///< the newest that the peer was sent
  bool telling_ = false;  ///< waits in the worker's list
  std::array<std::uint32_t, kUnreadAnnouncements> unread_announcements_{};  ///< bytes of those on their way
  std::array<std::uint32_t, kWindow> unread_chunks_{};
  Demand demand_;
  By reader_;
  bool withdrawn_ = false;  ///< takes no chunks any more; `demand_` is closed
  std::array<ArrivedAnnouncement, kUnreadAnnouncements> announcements_;
  std::array<ArrivedChunk, kWindow> chunks_;
};

}  // namespace mpix::transport::ucx
