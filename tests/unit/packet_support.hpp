// SPDX-License-Identifier: BSD-3-Clause
/// Random traffic of one rank with the ranks of a node, and what these get of it.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "engine/packet.hpp"
#include "tests/support/rng.hpp"

namespace mpix::engine {

/// What one rank sends to a node: for each receiver, segments of the send buffer.
struct NodeTraffic {
  std::vector<std::vector<std::int64_t>> offsets, lengths;
  std::vector<kernels::Blocks> blocks;
  std::vector<plan::NodePart> parts;

  NodeTraffic(test::Rng& rng, std::size_t receivers, std::int64_t buffer)
      : offsets(receivers), lengths(receivers) {
    const std::int64_t row = rng.between(1, 3000);
    const bool even = rng.chance(50);
    for (std::size_t local = 0; local < receivers; ++local)
      for (std::int64_t left = rng.between(0, 60); left > 0; --left) {
        const std::int64_t length = even ? row : rng.between(1, row);
        const std::int64_t rows = (buffer - length) / row;
        offsets[local].push_back(even || rng.chance(50) ? rng.between(0, rows) * row
                                                        : rng.between(0, buffer - length));
        lengths[local].push_back(length);
      }
    blocks.resize(receivers);
    for (std::size_t local = 0; local < receivers; ++local) {
      kernels::Blocks& b = blocks[local];
      b.form = kernels::Form::segments;
      b.nruns = static_cast<std::int64_t>(offsets[local].size());
      b.offsets = offsets[local].data();
      b.lengths = lengths[local].data();
      for (const std::int64_t length : lengths[local]) b.bytes += length;
      if (b.bytes > 0) parts.push_back({static_cast<std::int32_t>(local), &b});
    }
  }

  /// What a receiver must have, byte by byte.
  std::vector<std::byte> expected(std::size_t local, const std::vector<std::byte>& buffer) const {
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i < offsets[local].size(); ++i) {
      const auto begin = buffer.begin() + offsets[local][i];
      bytes.insert(bytes.end(), begin, begin + lengths[local][i]);
    }
    return bytes;
  }
};

/// What receivers have got so far; counts how often each byte came.
struct Received {
  std::vector<std::byte> bytes;
  std::vector<int> times;
  int introductions = 0;
  std::int64_t send_bytes = 0, recv_bytes = 0;

  explicit Received(std::size_t size) : bytes(size), times(size) {}
  void take(const PacketDest& dest, std::span<const PacketEntry> entries, const std::byte* data) {
    if (dest.introduces) {
      ++introductions;
      send_bytes = dest.send_bytes;
      recv_bytes = dest.recv_bytes;
    }
    for (const PacketEntry& entry : entries) {
      ASSERT_GE(entry.offset, 0);
      ASSERT_LE(entry.offset + entry.bytes, static_cast<std::int64_t>(bytes.size()));
      std::memcpy(bytes.data() + entry.offset, data + entry.data, entry.bytes);
      for (std::int64_t i = 0; i < entry.bytes; ++i) ++times[static_cast<std::size_t>(entry.offset + i)];
    }
  }
};

}  // namespace mpix::engine
