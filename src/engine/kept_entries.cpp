// SPDX-License-Identifier: BSD-3-Clause
#include "engine/kept_entries.hpp"

#include <algorithm>
#include <utility>

namespace mpix::engine {

void add_places(KeptPlaces& places, std::int64_t from, std::span<const PacketEntry> entries,
                const kernels::Blocks& blocks, ReceivePlaces& finder) {
  for (const PacketEntry& entry : entries) {
    std::int64_t at = from + entry.data, left = entry.bytes;
    for (kernels::Cursor to = finder.cursor(blocks, entry.offset); left > 0; to = {to.run + 1, 0}) {
      const PlaceInRun place = place_in_run(blocks, to);
      const std::int64_t bytes = std::min(place.rest, left);
      places.add(at, place.offset, bytes);
      at += bytes;
      left -= bytes;
    }
  }
}

KeptEntries::KeptEntries(int source, std::int64_t bytes, const PacketDest& dest,
                         std::span<const PacketEntry> entries)
    : source_(source), bytes_(bytes), dest_(dest), entries_(entries.begin(), entries.end()) {
  dest_.first = 0;
}

const KeptPlaces* KeptEntries::places(std::uint64_t serial, const kernels::Blocks& blocks,
                                      ReceivePlaces& finder) {
  if (serial_ != serial) {
    serial_ = serial;
    places_.reset();
    return nullptr;
  }
  if (places_) return &*places_;
  const auto within = [&](const PacketEntry& entry) {
    return entry.offset >= 0 && entry.offset <= blocks.bytes - entry.bytes;
  };
  if (!std::all_of(entries_.begin(), entries_.end(), within)) return nullptr;
  KeptPlaces found(0);
  add_places(found, 0, entries_, blocks, finder);
  found.finish();
  return &places_.emplace(std::move(found));
}

}  // namespace mpix::engine
