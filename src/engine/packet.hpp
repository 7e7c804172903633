// SPDX-License-Identifier: BSD-3-Clause
/// What travels between nodes on behalf of several ranks: unique bytes of one rank's send buffer, each with
/// the places that they go to. A forwarder hands every receiver its part, as a packet for that receiver
/// alone.
///
/// In memory: PacketHeader, the lists (packet_lists.hpp) unless the receiver has them, padding, data.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/status.hpp"
#include "device/device.hpp"
#include "engine/packet_lists.hpp"
#include "kernels/host.hpp"
#include "plan/node_send.hpp"

namespace mpix::engine {

struct PacketHeader {
  std::uint64_t exchange = 0;
  std::int32_t source = 0;  ///< rank whose bytes these are
  std::uint32_t dests = 0;
  std::uint32_t entries = 0;
  std::uint32_t lists = 0;  ///< bytes of them
  std::uint32_t bytes = 0;  ///< of data
  /// Not 0: the lists are a part of this one, to be kept (kept_lists.hpp), or where `lists` is 0, one that
  /// was kept is to be used.
  std::uint32_t list = 0;
  std::int64_t position = 0;  ///< of that part

  bool recalls() const noexcept { return list != 0 && lists == 0; }
};
static_assert(sizeof(PacketHeader) == 40);

/// In PacketHeader::list: what was kept before under this number is to be dropped.
inline constexpr std::uint32_t kNewList = std::uint32_t{1} << 31;

inline constexpr std::size_t kMinPacketRoom = 4096;
inline constexpr std::size_t kPacketAlignment = 16;  ///< of the data in it

/// Where the data begins after `lists` bytes of lists.
constexpr std::size_t data_place(std::size_t lists) noexcept {
  return (sizeof(PacketHeader) + lists + kPacketAlignment - 1) / kPacketAlignment * kPacketAlignment;
}

/// Ranges are cut at multiples of this, so that what follows keeps a large unit.
inline constexpr std::int64_t kPacketCut = 64;

/// A received packet; `data` points into it. To be used again and again, so that reading allocates nothing.
struct PacketView {
  PacketHeader header;
  std::vector<PacketDest> dests;
  std::vector<PacketEntry> entries;
  const std::byte* data = nullptr;

  std::span<const PacketEntry> entries_of(const PacketDest& dest) const noexcept {
    return std::span(entries).subspan(dest.first, dest.count);
  }
};

class KeptEntries;

/// What a packet has for one receiver.
struct PacketPart {
  const PacketDest& dest;
  std::span<const PacketEntry> entries;
  const std::byte* data = nullptr;
  std::int64_t bytes = 0;       ///< of data, for whomever it is
  KeptEntries* kept = nullptr;  ///< these entries, where they are kept
};

/// Leaves the lists empty where kept ones are to be used. Status (internal) where `payload` is not a packet:
/// its parts exceed its size, or its entries its data.
Status read_packet(const std::byte* payload, std::size_t size, PacketView& view) noexcept;

/// Changes a packet that was written: its lists need not be kept.
void keep_no_lists(std::span<std::byte> packet) noexcept;

/// How much of a receiver's part of a packet has been handed on.
struct PartCursor {
  bool introduced = false;   ///< its introduction, if it has one
  std::uint32_t entry = 0;   ///< the next of its entries
  std::uint32_t within = 0;  ///< bytes of that
};

/// Whether nothing is left.
inline bool at_end(const PacketDest& dest, const PartCursor& cursor) noexcept {
  return cursor.entry == dest.count && (cursor.introduced || !dest.introduces);
}

/// Makes packets for one receiver of what others have in common. Keeps scratch memory between packets.
class PartWriter {
 public:
  /// To be called before the parts for `dest` are written. Throws std::bad_alloc.
  void prepare(const PacketDest& dest);
  /// Writes into `room`, as a packet for `dest` alone, what `cursor` has not passed, as much as fits; moves
  /// it on. Returns the packet's size. `room` has at least kMinPacketRoom.
  /// `list`: number under which the receiver is to keep the entries; 0 for none.
  std::size_t write(std::span<std::byte> room, const PacketView& packet, const PacketDest& dest,
                    PartCursor& cursor, std::uint32_t list = 0) noexcept;

  /// A range of the packet's data and where it is in what was written.
  struct Copy {
    std::uint32_t from, to, bytes;
  };
  /// What was written last: all of the data, in order.
  std::span<const Copy> copies() const noexcept { return copies_; }

 private:
  std::uint32_t select(std::size_t room, std::size_t lists, std::span<const PacketEntry> entries,
                       PartCursor& cursor) noexcept;

  std::vector<PacketEntry> entries_;
  std::vector<Copy> copies_;
};

/// A position in the unique bytes of a NodeSend.
struct UniqueCursor {
  std::int64_t range = 0;
  std::int64_t within = 0;
};

/// Moves `cursor` on by `bytes`. O(ranges passed).
void advance(const plan::NodeSend& send, UniqueCursor& cursor, std::int64_t bytes) noexcept;

/// Size of a packet and of its lists, the unique bytes in it, and those times the places that they go to.
struct PacketExtent {
  std::size_t payload = 0, lists = 0;
  std::int64_t bytes = 0;
  std::int64_t delivered = 0;
  device::Ticket ticket = 0;  ///< when the unique bytes are there
};

/// Where unique bytes are read from.
struct PacketSource {
  const std::byte* base = nullptr;  ///< of the send buffer
  const kernels::HostKernels* kernels = nullptr;
  pid_t attached = 0;  ///< not 0: `base` is an address in that process, read by cross-memory attach
  device::Queue* queue = nullptr;  ///< not null: the send buffer is a GPU's,
  device::Side side = {};          ///< and this the unique bytes from the cursor on

  /// Reads `bytes` bytes from `at` on into `out`; for a GPU, they are there once `ticket` is done. Status
  /// (peer) where attach fails.
  Status read(const plan::NodeSend& send, UniqueCursor at, std::byte* out, std::size_t bytes,
              kernels::Stores stores, device::Ticket& ticket) const noexcept;

 private:
  Status read_by_gpu(std::byte* out, std::size_t bytes, device::Ticket& ticket) const noexcept;
};

/// What a packet is to be made of.
struct PacketOrder {
  PacketHeader header;  ///< exchange and source, list and position
  const plan::NodeSend* send = nullptr;
  std::int64_t most = 0;  ///< of the unique bytes, from the cursor on
  kernels::Stores stores = kernels::Stores::cached;
};

/// Makes packets of a NodeSend for one node. Keeps scratch memory between packets.
class PacketWriter {
 public:
  /// `local_ranks`: of the receiving node. Throws std::bad_alloc.
  explicit PacketWriter(std::size_t local_ranks) : parts_(local_ranks) {}

  /// Writes as many of the next `order.most` unique bytes into `room` as fit, which is at least one byte
  /// where room has kMinPacketRoom and no range has more than kMostDeliveries deliveries. Takes introductions
  /// (of which only the receiver and the sizes matter) from `introductions` first, as many as fit; bytes come
  /// only once none is left. Moves `cursor` and `introductions` on; sets `extent`. Fails where the source
  /// cannot be read.
  Status write(std::span<std::byte> room, const PacketOrder& order, UniqueCursor& cursor,
               std::span<const PacketDest>& introductions, const PacketSource& source,
               PacketExtent& extent) noexcept;
  Status write(std::span<std::byte> room, const PacketOrder& order, UniqueCursor& cursor,
               const PacketSource& source, PacketExtent& extent) noexcept {
    std::span<const PacketDest> none;
    return write(room, order, cursor, none, source, extent);
  }
  /// The same without lists, for a receiver that has kept them.
  static Status write_data(std::span<std::byte> room, const PacketOrder& order, UniqueCursor& cursor,
                           const PacketSource& source, PacketExtent& extent) noexcept;

 private:
  /// What one receiver has in the packet.
  struct Part {
    std::uint32_t count = 0;  ///< of entries
    std::uint32_t next = 0;   ///< where the next of them goes
    PacketEntry last;
    const PacketDest* introduction = nullptr;
    bool used() const noexcept { return count > 0 || introduction != nullptr; }
  };
  struct Measure {
    UniqueCursor end;
    std::int64_t bytes = 0;
    std::size_t lists = kUnitBytes;  ///< at most
    std::uint32_t dests = 0, entries = 0;
  };
  void introduce(std::size_t room, std::span<const PacketDest>& introductions, Measure& measured) noexcept;
  std::size_t list_bytes(const plan::NodeSend& send, const UniqueCursor& at, std::int64_t data,
                         unsigned unit) const noexcept;
  void measure(std::size_t room, const PacketOrder& order, Measure& measured) noexcept;
  std::int64_t list(const plan::NodeSend& send, UniqueCursor at, const Measure& measured);

  std::vector<Part> parts_;  // by receiver
  std::vector<PacketDest> dests_;
  std::vector<PacketEntry> entries_;
};

/// Deliveries of one range that fit a packet of kMinPacketRoom together with some bytes of it.
inline constexpr std::int64_t kMostDeliveries =
    (kMinPacketRoom - sizeof(PacketHeader) - kUnitBytes - kPacketAlignment - kPacketCut) /
    (kMostDestBytes + kMostEntryBytes);

}  // namespace mpix::engine
