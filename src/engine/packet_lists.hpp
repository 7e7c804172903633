// SPDX-License-Identifier: BSD-3-Clause
/// What a packet says about its bytes, and how that is written on the wire: in two to five bytes an entry,
/// because places and lengths are mostly multiples of some row and follow each other.
///
/// On the wire: the unit that all numbers of bytes are multiples of, as a power of two, in one byte. Then,
/// for each receiver, its place after the one before; its number of entries, doubled, plus one if it is
/// introduced; if so, its sizes. Then its entries: how far the data begins after the data of the entry
/// before, doubled, plus one if the length is another than there; if so, the length; then the place in the
/// receiver's message, from the end of the entry before, as a signed number. All numbers are base-128
/// varints.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mpix::engine {

/// One receiver and its entries [first, first + count), by ascending PacketEntry::data.
struct PacketDest {
  std::int32_t local = 0;  ///< the receiver's place among the ranks of its node
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  /// The packet introduces the source to this receiver, for this exchange, in place of an announcement:
  bool introduces = false;
  std::int64_t send_bytes = 0;  ///< that the source sends to it in all
  std::int64_t recv_bytes = 0;  ///< that the source expects from it
};

/// `bytes` bytes at `data`, from the packet's data on, are those from `offset` on of what the receiver gets
/// from the source.
struct PacketEntry {
  std::uint32_t data = 0;
  std::uint32_t bytes = 0;
  std::int64_t offset = 0;
};

/// Most bytes that a receiver, its introduction and an entry take on the wire, and the byte of the unit.
inline constexpr std::size_t kMostDestBytes = 10, kMostIntroductionBytes = 20, kMostEntryBytes = 20;
inline constexpr std::size_t kUnitBytes = 1;

/// Largest power of two, as an exponent, that all numbers seen are multiples of.
class Unit {
 public:
  void see(std::int64_t number) noexcept { bits_ |= static_cast<std::uint64_t>(number); }
  void see(const PacketEntry& entry) noexcept {
    bits_ |= static_cast<std::uint64_t>(entry.offset) | entry.data | entry.bytes;
  }
  unsigned exponent() const noexcept;

 private:
  std::uint64_t bits_ = 0;
};

/// Most bytes that `entry` takes on the wire after `last` of the same receiver (an empty one before the
/// first), given a unit that all are multiples of; with a larger one it takes no more.
std::size_t entry_bytes(const PacketEntry& last, const PacketEntry& entry, unsigned unit) noexcept;
std::size_t introduction_bytes(const PacketDest& dest) noexcept;

/// Writes the lists to `out`, which has room for them; returns the number of bytes. `dests` are by ascending
/// place.
std::size_t encode_lists(std::byte* out, std::span<const PacketDest> dests,
                         std::span<const PacketEntry> entries) noexcept;

/// Reads as many receivers and entries as `dests` and `entries` have; false where `in` is not their lists.
bool decode_lists(std::span<const std::byte> in, std::span<PacketDest> dests,
                  std::span<PacketEntry> entries) noexcept;

}  // namespace mpix::engine
