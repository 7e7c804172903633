// SPDX-License-Identifier: BSD-3-Clause
// Packets: from a send buffer through packets and their parts for single receivers, every byte reaches each
// of its places exactly once, in whatever room; what is not a packet is refused.
#include "engine/packet.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "kernels/host.hpp"
#include "tests/support/rng.hpp"
#include "tests/unit/node_plan_support.hpp"
#include "tests/unit/packet_support.hpp"

namespace mpix::engine {
namespace {

using test::Rng;

/// Hands a packet's part for `dest` on in packets of at most `room` bytes, as a forwarder does.
void hand_on(const PacketView& packet, const PacketDest& dest, std::size_t room, Received& to) {
  std::vector<std::byte> memory(room);
  std::uint32_t entry = 0, within = 0;
  while (entry < dest.count) {
    const std::size_t size = write_part(memory, packet, dest, entry, within);
    ASSERT_LE(size, room);
    PacketView part;
    ASSERT_TRUE(read_packet(memory.data(), size, part));
    ASSERT_EQ(part.dests.size(), 1u);
    ASSERT_FALSE(part.entries.empty()) << "nothing moves on";
    to.take(part.entries_of(part.dests[0]), part.data);
  }
}

/// Whether every range fits a packet with all its places; others are not sent in packets.
bool fits(const plan::NodeSend& send) {
  for (std::size_t range = 0; range + 1 < send.first.size(); ++range)
    if (send.first[range + 1] - send.first[range] > kMostDeliveries) return false;
  return true;
}

TEST(Packet, EveryByteReachesEachOfItsPlacesOnce) {
  for (std::uint64_t round = 0; round < 300; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    Rng rng(test::mix(plan::base_seed(), round));
    const auto receivers = static_cast<std::size_t>(rng.between(1, 6));
    std::vector<std::byte> buffer(static_cast<std::size_t>(rng.between(3000, 60000)));
    for (std::byte& byte : buffer) byte = static_cast<std::byte>(rng.bits());
    const NodeTraffic traffic(rng, receivers, static_cast<std::int64_t>(buffer.size()));
    if (traffic.parts.empty()) continue;
    const plan::NodeSend send = plan::make_node_send(traffic.parts);
    if (!fits(send)) continue;
    std::vector<Received> received;
    for (const kernels::Blocks& blocks : traffic.blocks)
      received.emplace_back(static_cast<std::size_t>(blocks.bytes));

    std::vector<std::byte> room(kMinPacketRoom + static_cast<std::size_t>(rng.between(0, 40000)));
    PacketWriter writer(receivers);
    const PacketSource source{buffer.data(), kernels::host_kernels("auto")};
    UniqueCursor cursor;
    std::int64_t sent = 0, delivered = 0;
    while (sent < send.unique_bytes) {
      const std::int64_t most = std::min(rng.between(1, 20000), send.unique_bytes - sent);
      PacketExtent extent;
      ASSERT_TRUE(writer.write(room, {}, send, cursor, most, source, kernels::Stores::cached, extent).ok());
      ASSERT_GT(extent.bytes, 0) << "nothing moves on";
      ASSERT_LE(extent.payload, room.size());
      sent += extent.bytes;
      delivered += extent.delivered;
      PacketView packet;
      ASSERT_TRUE(read_packet(room.data(), extent.payload, packet));
      for (const PacketDest& dest : packet.dests) {
        Received& to = received[static_cast<std::size_t>(dest.local)];
        if (rng.chance(50))
          to.take(packet.entries_of(dest), packet.data);
        else
          hand_on(packet, dest, kMinPacketRoom + static_cast<std::size_t>(rng.between(0, 5000)), to);
      }
      if (HasFatalFailure()) return;
    }
    EXPECT_EQ(sent, send.unique_bytes);
    EXPECT_EQ(delivered, send.total_bytes);
    for (std::size_t local = 0; local < receivers; ++local) {
      EXPECT_TRUE(std::all_of(received[local].times.begin(), received[local].times.end(),
                              [](int times) { return times == 1; }));
      ASSERT_EQ(received[local].bytes, traffic.expected(local, buffer)) << "receiver " << local;
    }
  }
}

TEST(Packet, NothingThatReachesBeyondItsEndIsRead) {
  alignas(64) std::byte memory[4096] = {};
  PacketView view;
  EXPECT_FALSE(read_packet(memory, 10, view));
  const auto reads = [&](PacketHeader header, PacketEntry entry, PacketDest dest) {
    std::memcpy(memory, &header, sizeof header);
    std::memcpy(memory + sizeof header, &entry, sizeof entry);
    std::memcpy(memory + sizeof header + sizeof entry, &dest, sizeof dest);
    return read_packet(memory, 164, view);
  };
  PacketHeader header;
  header.dests = header.entries = 1;
  header.data = 64;
  header.bytes = 100;
  EXPECT_TRUE(reads(header, {0, 100, 0}, {0, 0, 1}));
  EXPECT_FALSE(reads(header, {1, 100, 0}, {0, 0, 1}));
  EXPECT_FALSE(reads(header, {0, 100, 0}, {0, 1, 1}));
  header.bytes = 101;
  EXPECT_FALSE(reads(header, {0, 1, 0}, {0, 0, 1}));
  header.bytes = 1;
  header.entries = 0xffffffff;
  EXPECT_FALSE(reads(header, {0, 1, 0}, {0, 0, 1}));
}

}  // namespace
}  // namespace mpix::engine
