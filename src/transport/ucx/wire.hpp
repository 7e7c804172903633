// SPDX-License-Identifier: BSD-3-Clause
/// Headers of the active messages. All ranks run one build on one architecture, so they are sent as they lie.
#pragma once

#include <cstdint>
#include <type_traits>

#include "transport/transport.hpp"

namespace mpix::transport::ucx {

enum MessageId : unsigned { kAnnouncement = 1, kChunk = 2, kCredit = 3, kAnnouncedChunk = 4 };

/// What the writer lets the reader send: totals over the life of the channel, so that the newest wins in
/// whatever order messages arrive.
struct Credits {
  std::uint64_t announcements_popped = 0;
  std::uint64_t chunks_granted = 0;
  std::uint64_t chunks_popped = 0;
  std::uint64_t chunk_bytes = 0;  ///< longest chunk that the reader may send
  std::uint64_t standing = 0;     ///< that many chunks, the last of those granted, are short ones
};

/// Begins every header.
struct Prefix {
  std::uint64_t communicator = 0;
  std::uint64_t source = 0;    ///< the writer's rank in it
  std::uint64_t sequence = 0;  ///< counts the messages of one id of a channel; 0 in credits
  Credits credits;
};

struct AnnouncementMessage {
  Prefix prefix;
  Announcement announcement;
};
struct ChunkMessage {
  Prefix prefix;
  Chunk chunk;
};
/// Both in one.
struct AnnouncedChunkMessage {
  Prefix prefix;                    ///< of the chunk
  std::uint64_t announcements = 0;  ///< the announcement's sequence
  Announcement announcement;
  Chunk chunk;
};
struct CreditMessage {
  Prefix prefix;
};

static_assert(std::is_trivially_copyable_v<AnnouncementMessage> &&
              std::is_trivially_copyable_v<AnnouncedChunkMessage>);

}  // namespace mpix::transport::ucx
