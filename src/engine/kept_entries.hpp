// SPDX-License-Identifier: BSD-3-Clause
/// What a rank keeps of its own part of packets that come again whenever a plan is executed.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/kept_places.hpp"
#include "engine/packet.hpp"
#include "engine/receive_places.hpp"

namespace mpix::engine {

/// Adds to `places` where entries go that are received by `blocks`, given that their data begins at `from`.
/// They lie within what is received. Throws std::bad_alloc.
void add_places(KeptPlaces& places, std::int64_t from, std::span<const PacketEntry> entries,
                const kernels::Blocks& blocks, ReceivePlaces& finder);

class KeptEntries {
 public:
  /// Of a packet from `source` with `bytes` bytes of data. Throws std::bad_alloc.
  KeptEntries(int source, std::int64_t bytes, const PacketDest& dest, std::span<const PacketEntry> entries);

  /// Whether a packet can be one whose entries these are.
  bool fit(const PacketHeader& header) const noexcept {
    return header.source == source_ && std::int64_t{header.bytes} == bytes_;
  }
  /// The part of such a packet with `data`.
  PacketPart part(const std::byte* data) noexcept { return {dest_, entries_, data, bytes_, this}; }
  /// Where the data goes that is received by `blocks`, of the receive layout with number `serial`. Null where
  /// it was not asked for by this layout just before, or not all lies within what is received. Throws
  /// std::bad_alloc.
  const KeptPlaces* places(std::uint64_t serial, const kernels::Blocks& blocks, ReceivePlaces& finder);

 private:
  int source_;
  std::int64_t bytes_;
  PacketDest dest_;
  std::vector<PacketEntry> entries_;
  std::uint64_t serial_ = 0;          // of the layout that asked last
  std::optional<KeptPlaces> places_;  // by it
};

}  // namespace mpix::engine
