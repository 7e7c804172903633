// SPDX-License-Identifier: BSD-3-Clause
#include "engine/descriptor.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace mpix::engine {
namespace {

using kernels::Blocks;
using kernels::Cursor;
using kernels::Form;

static_assert(std::is_trivially_copyable_v<DescriptorHeader> && sizeof(DescriptorHeader) % 8 == 0);
static_assert(sizeof(DescriptorHeader) + kernels::kMaxDims * sizeof(kernels::Dim) <= kMinDescriptorRoom);

/// Strided blocks are described whole: the slice starts at the cursor's place among all runs.
DescriptorExtent write_strided(std::span<std::byte> room, DescriptorHeader header, const Blocks& blocks,
                               Cursor& cursor, std::int64_t remaining) noexcept {
  header.blocks = blocks;
  header.within = cursor.run * blocks.run + cursor.within;
  cursor = {blocks.nruns, 0};
  const std::size_t dims = static_cast<std::size_t>(blocks.ndims) * sizeof(kernels::Dim);
  std::memcpy(room.data(), &header, sizeof header);
  if (dims > 0) std::memcpy(room.data() + sizeof header, blocks.dims, dims);
  return {sizeof header + dims, remaining};
}

DescriptorExtent write_list(std::span<std::byte> room, DescriptorHeader header, const Blocks& blocks,
                            Cursor& cursor, std::int64_t remaining) noexcept {
  const bool segments = blocks.form == Form::segments;
  const std::size_t entry = (segments ? 2 : 1) * sizeof(std::int64_t);
  const auto fit = static_cast<std::int64_t>((room.size() - sizeof header) / entry);
  const std::int64_t count = std::min(fit, blocks.nruns - cursor.run);
  header.blocks = blocks;
  header.blocks.nruns = count;
  header.within = cursor.within;
  const std::size_t array = static_cast<std::size_t>(count) * sizeof(std::int64_t);
  std::byte* const arrays = room.data() + sizeof header;
  std::memcpy(arrays, blocks.offsets + cursor.run, array);
  header.blocks.bytes = blocks.run * count;
  if (segments) {
    std::memcpy(arrays + array, blocks.lengths + cursor.run, array);
    header.blocks.bytes = 0;
    for (std::int64_t i = 0; i < count; ++i) header.blocks.bytes += blocks.lengths[cursor.run + i];
  }
  std::memcpy(room.data(), &header, sizeof header);
  const std::int64_t bytes = std::min(remaining, header.blocks.bytes - cursor.within);
  cursor = {cursor.run + count, 0};
  return {sizeof header + entry * static_cast<std::size_t>(count), bytes};
}

}  // namespace

DescriptorExtent write_descriptor(std::span<std::byte> room, const BufferPlace& place, const Blocks& blocks,
                                  Cursor& cursor, std::int64_t remaining) noexcept {
  DescriptorHeader header;
  header.place = place;
  return blocks.form == Form::strided ? write_strided(room, header, blocks, cursor, remaining)
                                      : write_list(room, header, blocks, cursor, remaining);
}

DescriptorHeader read_descriptor(const std::byte* payload) noexcept {
  DescriptorHeader header;
  std::memcpy(&header, payload, sizeof header);
  const std::byte* const arrays = payload + sizeof header;
  Blocks& blocks = header.blocks;
  blocks.dims = reinterpret_cast<const kernels::Dim*>(arrays);
  blocks.offsets = reinterpret_cast<const std::int64_t*>(arrays);
  blocks.lengths = blocks.offsets + blocks.nruns;
  return header;
}

BufferPlace read_place(const std::byte* payload) noexcept {
  BufferPlace place;
  std::memcpy(&place, payload, sizeof place);
  return place;
}

}  // namespace mpix::engine
