// SPDX-License-Identifier: BSD-3-Clause
/// The seam between the engine and whatever moves bytes to one peer.
///
/// A Channel joins this rank with one peer of one communicator, both ways, in order. An exchange uses it in
/// two steps. Each side first sends one Announcement, which says how much it will send and what it expects,
/// and carries small payloads at once. Longer payloads follow as Chunks, of which only a bounded number is in
/// flight: inside a node once the peer's announcement has been seen, which proves that the peer takes part;
/// between nodes as soon as there is credit, a little of which a peer may have without having asked. Chunks
/// that the peer does not want stay with it until a later exchange drops them.
///
/// No call blocks or throws. "Not now" is a null pointer or an empty span: try again after progress(). A
/// channel is used by one thread at a time; different channels may be used by different threads.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/status.hpp"

namespace mpix::transport {

struct Announcement {
  std::uint64_t exchange = 0;      ///< number of the exchange on its communicator, from 1
  std::int64_t send_bytes = 0;     ///< that the writer sends to the reader
  std::int64_t recv_bytes = 0;     ///< that the writer expects from the reader
  std::uint32_t inline_bytes = 0;  ///< payload carried along: 0, or all of send_bytes
  std::uint32_t abilities = 0;     ///< what the writer can do with the reader's memory: bits of Ability
};

/// Ways to read a peer's memory directly, as bits.
enum Ability : std::uint32_t {
  kCanMap = 1,     ///< map its shared segments
  kCanAttach = 2,  ///< cross-memory attach, seen to work
  kCanImport = 8,  ///< import memory of its GPU, seen to work
  kKeeps = 16,     ///< keep where rows go that the reader sends once for several places
  kForwards = 4,   ///< (not an ability) this exchange's payload comes in packets through a forwarder
};

/// Above these bits: how many exchanges ago the writer last introduced itself to the reader by a packet
/// instead of an announcement; 0 for never, or too long ago to say.
inline constexpr unsigned kIntroducedShift = 8;
inline constexpr std::uint64_t kLongestIntroduced = 0xffffff;
/// The same bits inside a node: the number of the reader's rows whose places the writer has kept; 0 for none.
inline constexpr unsigned kKeptShift = kIntroducedShift;
inline constexpr std::uint32_t kMostKept = 0xffffff;

/// Between nodes a message of `bytes` bytes is sent in chunks of that many, or fewer where credit or memory
/// allow no more: so that both ends work at once, unless chunks get so short that their number costs more.
constexpr std::int64_t net_piece(std::int64_t bytes) noexcept {
  constexpr std::int64_t kPieces = 8, kShortest = 128 << 10;
  return std::max(bytes / kPieces, kShortest);
}

/// How a chunk's payload is to be understood; the transport only carries it.
enum class Payload : std::uint32_t {
  data,        ///< the bytes themselves
  packet,      ///< bytes with their places, for ranks of the reader's node
  rows,        ///< bytes whose places the reader has kept
  descriptor,  ///< where the bytes lie in the sender's memory; it waits until drained()
};

struct Chunk {
  std::uint64_t exchange = 0;  ///< the exchange that the chunk belongs to
  std::int64_t offset = 0;     ///< of its first byte in what the sender sends in that exchange
  std::int64_t bytes = 0;      ///< of the exchange that it stands for (for data: the payload's size)
  Payload payload = Payload::data;
  std::uint32_t payload_bytes = 0;
};

/// Longest note that a rank leaves for a peer.
inline constexpr std::size_t kNoteBytes = 192;

/// An incoming announcement or chunk, valid until it is popped.
struct AnnouncementView {
  Announcement header;
  const std::byte* payload = nullptr;
};
struct ChunkView {
  Chunk header;
  const std::byte* payload = nullptr;  ///< aligned to 64 bytes inside a node
  bool lost = false;                   ///< the payload cannot be brought to where it is to be read
};

/// Who writes or reads a chunk's payload. What it costs the host is measured, what it costs a GPU is not.
struct By {
  std::uint64_t gpu = kNone;  ///< a GPU, by a number that only equal memory has (device::Queue::number())
  bool host = true;           ///< the host, maybe beside the GPU
  bool unmet = false;         ///< a writer who does not know yet that the peer takes part in the exchange

  static constexpr std::uint64_t kNone = 0;
  /// A GPU only, in whose memory the payload may then lie.
  static constexpr By gpu_alone(std::uint64_t gpu) noexcept { return {gpu, false}; }
};

class Channel {
 public:
  virtual ~Channel() = default;

  /// Whether descriptors can work: the peer runs on this node.
  virtual bool same_node() const noexcept = 0;
  /// How this rank can read the peer's memory: bits of Ability; 0 where the peer is on another node.
  virtual std::uint32_t abilities() const noexcept = 0;
  /// Largest payload of an announcement, and of a chunk.
  virtual std::size_t inline_limit() const noexcept = 0;
  virtual std::size_t chunk_limit() const noexcept = 0;

  /// Room for the next announcement's payload (inline_limit() bytes), or null while too many are unread.
  virtual std::byte* announce_begin() noexcept = 0;
  /// Sends what announce_begin() gave room for.
  virtual Status announce_commit(const Announcement& announcement) noexcept = 0;
  /// The oldest unread announcement of the peer; null while there is none.
  virtual const AnnouncementView* announcement() noexcept = 0;
  virtual void pop_announcement() noexcept = 0;

  /// Room for one chunk's payload: at least 1 and at most `want` bytes; empty while staging memory or the
  /// peer's credit is used up. To be followed by chunk_commit or chunk_cancel of its address; several rooms
  /// may be open, and are committed in any order, which becomes that of the chunks.
  virtual std::span<std::byte> chunk_begin(std::size_t want, By writer = {}) noexcept = 0;
  /// Whether the room that chunk_begin gave last is better written past the caches.
  virtual bool past_caches() const noexcept { return false; }
  virtual Status chunk_commit(const std::byte* room, const Chunk& chunk) noexcept = 0;
  /// Sends an announcement without payload, for which announce_begin() has given room, and after it a chunk;
  /// as one message where that is cheaper. Gives the room back where that fails.
  virtual Status commit_both(const Announcement& announcement, const std::byte* room,
                             const Chunk& chunk) noexcept {
    Status status = announce_commit(announcement);
    if (status.ok()) return chunk_commit(room, chunk);
    chunk_cancel(room);
    return status;
  }
  virtual void chunk_cancel(const std::byte* room) noexcept = 0;
  /// Chunks committed so far, and of these how many the peer has popped (a lower bound; exact inside a node).
  virtual std::uint64_t chunks_sent() const noexcept = 0;
  virtual std::uint64_t chunks_drained() noexcept = 0;
  /// Whether every chunk's payload has left this rank's buffers that chunk_begin gave (an exchange is not
  /// done before). True at once where the payload was copied or is kept by the transport.
  virtual bool flushed() noexcept = 0;

  /// Says that `bytes` more are wanted from the peer as chunks, or (below 0) fewer than was said, and by whom
  /// chunks will be read from now on; a network transport grants credit by it.
  virtual void expect(std::int64_t bytes, By reader = {}) noexcept = 0;
  /// The oldest unread chunk, in the sender's order, or of those behind it number `ahead`; null while there
  /// is none. The view holds until the next call, the payload until the chunk is popped. If the chunk is not
  /// of `exchange` (0: any is meant), the payload is somebody else's, and maybe not where `reader` can read
  /// it.
  virtual const ChunkView* chunk(std::size_t ahead = 0, By reader = {},
                                 std::uint64_t exchange = 0) noexcept = 0;
  virtual void pop_chunk() noexcept = 0;

  /// Leaves a note that the peer can read from then on; on channels inside a node. At most kNoteBytes, once.
  virtual void leave_note(std::span<const std::byte>) noexcept {}
  /// The peer's note; empty while it has left none.
  virtual std::span<const std::byte> note() noexcept { return {}; }

  /// Not ok once the peer is known to be gone; may look at the peer's process, so ask only now and then.
  virtual Status check_peer() noexcept = 0;
};

inline constexpr std::uint64_t kUncounted = UINT64_MAX;

/// All channels of one kind of one communicator.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual const char* name() const noexcept = 0;
  /// The channel to `peer` (rank in the communicator), made on first use; owned by the transport and living
  /// as long. Throws Error (peer, no_memory).
  virtual Channel& connect(int peer) = 0;
  /// A rank that has announced something although this rank has no channel to it yet; -1 for none.
  virtual int stranger() noexcept { return -1; }
  /// Announcements and chunks that have come so far: unless the number has grown, no channel has a new one,
  /// and nor has a stranger. kUncounted where nobody counts.
  virtual std::uint64_t arrivals() const noexcept { return kUncounted; }
  /// Moves what can be moved; returns whether anything happened. Not ok once the transport is unusable.
  virtual Status progress(bool& happened) noexcept = 0;
};

}  // namespace mpix::transport
