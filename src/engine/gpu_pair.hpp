// SPDX-License-Identifier: BSD-3-Clause
/// What a GPU is doing for one pair: chunks that are being written or read while the exchange goes on.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "device/device.hpp"
#include "engine/descriptor.hpp"
#include "engine/packet.hpp"
#include "transport/transport.hpp"

namespace mpix::engine {

/// Rooms of one channel that a GPU fills; they are committed in the order in which they were opened.
class FillingRooms {
 public:
  void add(const std::byte* room, const transport::Chunk& chunk, device::Ticket ticket) {
    rooms_.push_back({room, chunk, ticket});
  }
  /// Commits those that are full; returns whether there were any. Sets `status` where that fails.
  bool commit(transport::Channel& channel, const device::Queue& queue, Status& status) noexcept;
  /// Gives them all back; nothing writes to them any more.
  void cancel(transport::Channel& channel) noexcept;
  std::size_t size() const noexcept { return rooms_.size(); }
  /// That their chunks stand for.
  std::int64_t bytes() const noexcept;

 private:
  struct Room {
    const std::byte* room;
    transport::Chunk chunk;
    device::Ticket ticket;
  };
  std::vector<Room> rooms_;  // few
};

/// The state of a pair of which a side is a GPU's.
struct GpuPair {
  /// A chunk or an announcement's payload that is being taken.
  struct Reading {
    device::Ticket ticket = 0;
    bool chunk = false;  ///< to be popped from the channel
  };
  /// Part of a packet that is being taken, by the address of its data.
  struct Taking {
    const std::byte* data;
    device::Ticket ticket;
    std::int64_t bytes, stray;  ///< within and beyond what is received
  };
  /// In place: bytes saved before their turn to be sent.
  struct Saved {
    std::unique_ptr<std::byte[]> bytes;
    std::int64_t size, sent;
    device::Ticket ticket;
  };

  std::optional<ImportDescriptor> exports;  ///< to be sent instead of the data
  FillingRooms filling;
  std::deque<Reading> reading;
  std::size_t chunks_reading = 0;  ///< of `reading`, chunks
  std::vector<Taking> taking;
  std::vector<device::Entry> entries;  ///< scratch
  std::deque<Saved> saved;
  std::int64_t saved_bytes = 0;
  std::vector<std::byte> inlined;  ///< an announcement's payload; emptied once it has been taken
  bool inlined_waits = false;      ///< no copy of it was started yet
  std::shared_ptr<const device::Imported> buffer, lists;  ///< the peer's, while they are read

  bool takes(const std::byte* data) const noexcept {
    return std::any_of(taking.begin(), taking.end(), [&](const Taking& t) { return t.data == data; });
  }
  bool idle() const noexcept {
    return filling.size() == 0 && reading.empty() && taking.empty() && !inlined_waits;
  }
};

}  // namespace mpix::engine
