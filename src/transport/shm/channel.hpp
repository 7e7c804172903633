// SPDX-License-Identifier: BSD-3-Clause
/// A channel to another rank of the node.
#pragma once

#include <sys/types.h>

#include <array>
#include <memory>

#include "memory/regions.hpp"
#include "memory/staging.hpp"
#include "memory/stores.hpp"
#include "transport/shm/mailbox.hpp"
#include "transport/transport.hpp"

namespace mpix::transport::shm {

/// A trial of the other way, in chunks. The receiver has told what it cost by the time of the verdict.
inline constexpr memory::TrialSchedule kTrials{
    .trial = 5, .verdict = 16, .every = 256, .period = 256, .longest = 256, .warm = 2};

/// What a channel works on; the mappings are kept alive by it.
struct ChannelParts {
  int peer = 0;                 ///< rank in the communicator, for messages
  pid_t pid = 0;                ///< of the peer
  std::uint32_t abilities = 0;  ///< how this rank can read the peer's memory
  Mailbox* inbox = nullptr;     ///< in this rank's segment
  Mailbox* outbox = nullptr;    ///< in the peer's segment
  std::shared_ptr<const Mapping> outbox_mapping;
  memory::StagingView own_staging;
  memory::StagingView peer_staging;
  std::shared_ptr<const Mapping> peer_staging_mapping;
  memory::Regions::Entry peer_staging_region;
};

class ShmChannel final : public Channel {
 public:
  explicit ShmChannel(ChannelParts parts) noexcept : parts_(std::move(parts)) {}

  bool same_node() const noexcept override { return true; }
  std::uint32_t abilities() const noexcept override { return parts_.abilities; }
  std::size_t inline_limit() const noexcept override { return sizeof(Entry::payload); }
  std::size_t chunk_limit() const noexcept override { return parts_.own_staging.slot_bytes(); }

  std::byte* announce_begin() noexcept override;
  Status announce_commit(const Announcement& announcement) noexcept override;
  const AnnouncementView* announcement() noexcept override;
  void pop_announcement() noexcept override;

  std::span<std::byte> chunk_begin(std::size_t want, By writer) noexcept override;
  bool past_caches() const noexcept override { return way_ == Way::streaming; }
  Status chunk_commit(const std::byte* room, const Chunk& chunk) noexcept override;
  void chunk_cancel(const std::byte* room) noexcept override;
  std::uint64_t chunks_sent() const noexcept override { return descriptors_sent_; }
  std::uint64_t chunks_drained() noexcept override;
  bool flushed() noexcept override { return true; }

  void expect(std::int64_t, By) noexcept override {}  // the sender's staging memory is the credit
  const ChunkView* chunk(std::size_t ahead, By reader, std::uint64_t) noexcept override;
  void pop_chunk() noexcept override;

  void leave_note(std::span<const std::byte> note) noexcept override;
  std::span<const std::byte> note() noexcept override;

  Status check_peer() noexcept override;

 private:
  /// Room that is being written.
  struct Open {
    std::uint32_t slot = 0;
    Way way = Way::cached;
    std::uint64_t began = 0;  // in nanoseconds; 0 where it is not measured
  };

  memory::Costs costs() const noexcept;
  Open close(const std::byte* room) noexcept;

  ChannelParts parts_;
  std::uint64_t entries_sent_ = 0, entries_drained_ = 0, entries_read_ = 0;
  std::uint64_t descriptors_sent_ = 0, descriptors_drained_ = 0, descriptors_read_ = 0;
  std::array<Open, kDescriptors> open_;
  std::size_t opened_ = 0;
  Way way_ = Way::cached;  // of the room that was opened last
  memory::WayChooser chooser_{kTrials};
  memory::CostMeter writing_{kTrials}, reading_{kTrials};
  std::uint64_t read_began_ = 0;  // in nanoseconds; 0 where it is not measured
  AnnouncementView announcement_;
  ChunkView chunk_;
};

}  // namespace mpix::transport::shm
