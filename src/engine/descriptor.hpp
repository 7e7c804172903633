// SPDX-License-Identifier: BSD-3-Clause
/// A chunk's payload that says where the bytes lie instead of carrying them, for peers that can read the
/// sender's memory: a slice of the sender's blocks with the place of the buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "device/device.hpp"
#include "kernels/blocks.hpp"
#include "memory/segment.hpp"

namespace mpix::engine {

enum class Reach : std::uint32_t {
  mapped,    ///< in a segment that the receiver maps
  attached,  ///< anywhere in the sender's memory, read by cross-memory attach
  imported,  ///< in memory of the sender's GPU: an ImportDescriptor
};

/// Where the send buffer lies.
struct BufferPlace {
  Reach reach = Reach::mapped;
  std::int32_t pid = 0;         ///< of the sender
  memory::SegmentName segment;  ///< mapped only
  std::int64_t base = 0;        ///< offset of the buffer in the segment, or its address
};

/// A descriptor's fixed part; `dims`, `offsets` and `lengths` follow it, whichever the form has.
struct DescriptorHeader {
  BufferPlace place;
  kernels::Blocks blocks;   ///< of the slice; its pointers are set by read_descriptor
  std::int64_t within = 0;  ///< bytes of the first run that are not part of the slice
};

/// All that one rank sends to another from the memory of its GPU. Trivially copyable.
struct ImportDescriptor {
  BufferPlace place;  ///< first, as in DescriptorHeader; says `imported`
  device::IpcPlace
      buffer;  ///< its place is the send buffer's address, which may lie outside of the allocation
  device::IpcPlace lists;  ///< the mirror's memory
  device::BlocksPlace blocks;
  std::uint32_t has_lists = 0, reserved = 0;
};

/// The place alone, with which every descriptor begins.
BufferPlace read_place(const std::byte* payload) noexcept;

/// What a written descriptor takes and covers.
struct DescriptorExtent {
  std::size_t payload = 0;
  std::int64_t bytes = 0;
};

/// Writes into `room` a descriptor of as many of the next `remaining` bytes of `blocks` as fit, and advances
/// `cursor`. `room` is aligned to 8 bytes and holds at least kMinDescriptorRoom.
inline constexpr std::size_t kMinDescriptorRoom = 1024;
DescriptorExtent write_descriptor(std::span<std::byte> room, const BufferPlace& place,
                                  const kernels::Blocks& blocks, kernels::Cursor& cursor,
                                  std::int64_t remaining) noexcept;

/// The header of a received payload, its blocks pointing into the payload.
DescriptorHeader read_descriptor(const std::byte* payload) noexcept;

}  // namespace mpix::engine
