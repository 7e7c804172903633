// SPDX-License-Identifier: BSD-3-Clause
/// What travels between nodes on behalf of several ranks: unique bytes of one rank's send buffer, each with
/// the places that they go to. A forwarder hands every receiver its part, as a packet for that receiver
/// alone.
///
/// In memory: PacketHeader, PacketEntry[entries], PacketDest[dests], padding to a line, data.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/status.hpp"
#include "device/device.hpp"
#include "kernels/host.hpp"
#include "plan/node_send.hpp"

namespace mpix::engine {

struct PacketHeader {
  std::uint64_t exchange = 0;
  std::int32_t source = 0;  ///< rank whose bytes these are
  std::uint32_t dests = 0;
  std::uint32_t entries = 0;
  std::uint32_t data = 0;  ///< where the data begins, from the header
  std::uint32_t bytes = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(PacketHeader) == 32);

/// One receiver and its entries [first, first + count), by ascending PacketEntry::data.
struct PacketDest {
  std::int32_t local = 0;  ///< the receiver's place among the ranks of its node
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};

/// `bytes` bytes at `data`, from the packet's data on, are those from `offset` on of what the receiver gets
/// from the source.
struct PacketEntry {
  std::uint32_t data = 0;
  std::uint32_t bytes = 0;
  std::int64_t offset = 0;
};

inline constexpr std::size_t kMinPacketRoom = 4096;
inline constexpr std::size_t kPacketAlignment = 64;

/// A received packet; points into it.
struct PacketView {
  PacketHeader header;
  std::span<const PacketDest> dests;
  std::span<const PacketEntry> entries;
  const std::byte* data = nullptr;

  std::span<const PacketEntry> entries_of(const PacketDest& dest) const noexcept {
    return entries.subspan(dest.first, dest.count);
  }
};

/// False where `payload` is not a packet: its parts exceed its size, or its entries its data.
bool read_packet(const std::byte* payload, std::size_t size, PacketView& view) noexcept;

/// Writes into `room`, as a packet for `dest` alone, its entries from byte `within` of number `entry` on, as
/// many as fit; moves both on. Returns the packet's size. `room` has at least kMinPacketRoom.
std::size_t write_part(std::span<std::byte> room, const PacketView& packet, const PacketDest& dest,
                       std::uint32_t& entry, std::uint32_t& within) noexcept;

/// A position in the unique bytes of a NodeSend.
struct UniqueCursor {
  std::int64_t range = 0;
  std::int64_t within = 0;
};

/// Moves `cursor` on by `bytes`. O(ranges passed).
void advance(const plan::NodeSend& send, UniqueCursor& cursor, std::int64_t bytes) noexcept;

/// Size of a packet, the unique bytes in it, and those times the places that they go to.
struct PacketExtent {
  std::size_t payload = 0;
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

/// Makes packets of a NodeSend for one node. Keeps scratch memory between packets.
class PacketWriter {
 public:
  /// `local_ranks`: of the receiving node. Throws std::bad_alloc.
  explicit PacketWriter(std::size_t local_ranks) : counts_(local_ranks) {}

  /// Writes as many of the next `most` unique bytes into `room` as fit, which is at least one byte where room
  /// has kMinPacketRoom and no range has more than kMostDeliveries deliveries. Advances `cursor`; sets
  /// `extent`. Fails where the source cannot be read.
  Status write(std::span<std::byte> room, const PacketHeader& header, const plan::NodeSend& send,
               UniqueCursor& cursor, std::int64_t most, const PacketSource& source, kernels::Stores stores,
               PacketExtent& extent) noexcept;

 private:
  struct Measure {
    UniqueCursor end;
    std::int64_t bytes = 0;
    std::uint32_t dests = 0, entries = 0;
  };
  Measure measure(std::size_t room, const plan::NodeSend& send, UniqueCursor cursor,
                  std::int64_t most) noexcept;

  std::vector<std::uint32_t> counts_;  // entries of each receiver, then where its next one goes
};

/// Deliveries of one range that fit a packet of kMinPacketRoom together with a byte of it.
inline constexpr std::int64_t kMostDeliveries =
    (kMinPacketRoom - sizeof(PacketHeader) - kPacketAlignment - 1) /
    (sizeof(PacketDest) + sizeof(PacketEntry));

}  // namespace mpix::engine
