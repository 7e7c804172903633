// SPDX-License-Identifier: BSD-3-Clause
// Packets: from a send buffer through packets and their parts for single receivers, every byte reaches each
// of its places exactly once, in whatever room; what is not a packet is refused.
#include "engine/packet.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>

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
  PartWriter writer;
  writer.prepare(dest);
  PartCursor cursor;
  PacketView part;
  while (!at_end(dest, cursor)) {
    const std::size_t size = writer.write(memory, packet, dest, cursor);
    ASSERT_LE(size, room);
    ASSERT_TRUE(read_packet(memory.data(), size, part).ok());
    ASSERT_EQ(part.dests.size(), 1u);
    ASSERT_TRUE(!part.entries.empty() || part.dests[0].introduces) << "nothing moves on";
    to.take(part.dests[0], part.entries_of(part.dests[0]), part.data);
  }
}

/// Whether every range fits a packet with all its places; others are not sent in packets.
bool fits(const plan::NodeSend& send) {
  for (std::size_t range = 0; range + 1 < send.first.size(); ++range)
    if (send.first[range + 1] - send.first[range] > kMostDeliveries) return false;
  return true;
}

/// Of some receivers, or of none.
std::vector<PacketDest> random_introductions(Rng& rng, std::size_t receivers) {
  std::vector<PacketDest> made;
  if (rng.chance(50)) return made;
  for (std::size_t local = 0; local < receivers; ++local) {
    if (rng.chance(30)) continue;
    PacketDest dest;
    dest.local = static_cast<std::int32_t>(local);
    dest.introduces = true;
    dest.send_bytes = static_cast<std::int64_t>(rng.bits() >> rng.between(1, 60));
    dest.recv_bytes = static_cast<std::int64_t>(rng.bits() >> rng.between(1, 60));
    made.push_back(dest);
  }
  return made;
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
    const std::vector<PacketDest> all = random_introductions(rng, receivers);
    std::span<const PacketDest> introductions(all);
    PacketView packet;
    while (sent < send.unique_bytes || !introductions.empty()) {
      const std::int64_t most = std::min(rng.between(1, 20000), send.unique_bytes - sent);
      const std::size_t left = introductions.size();
      PacketExtent extent;
      ASSERT_TRUE(writer.write(room, {{}, &send, most}, cursor, introductions, source, extent).ok());
      ASSERT_TRUE(extent.bytes > 0 || introductions.size() < left) << "nothing moves on";
      ASSERT_LE(extent.payload, room.size());
      sent += extent.bytes;
      delivered += extent.delivered;
      ASSERT_TRUE(read_packet(room.data(), extent.payload, packet).ok());
      ASSERT_TRUE(packet.entries.empty() || introductions.empty()) << "bytes before an introduction";
      for (const PacketDest& dest : packet.dests) {
        Received& to = received[static_cast<std::size_t>(dest.local)];
        if (rng.chance(50))
          to.take(dest, packet.entries_of(dest), packet.data);
        else
          hand_on(packet, dest, kMinPacketRoom + static_cast<std::size_t>(rng.between(0, 5000)), to);
      }
      if (HasFatalFailure()) return;
    }
    EXPECT_EQ(sent, send.unique_bytes);
    EXPECT_EQ(delivered, send.total_bytes);
    for (const PacketDest& dest : all) {
      const Received& to = received[static_cast<std::size_t>(dest.local)];
      EXPECT_EQ(to.introductions, 1);
      EXPECT_EQ(to.send_bytes, dest.send_bytes);
      EXPECT_EQ(to.recv_bytes, dest.recv_bytes);
    }
    for (std::size_t local = 0; local < receivers; ++local) {
      EXPECT_TRUE(std::all_of(received[local].times.begin(), received[local].times.end(),
                              [](int times) { return times == 1; }));
      ASSERT_EQ(received[local].bytes, traffic.expected(local, buffer)) << "receiver " << local;
    }
  }
}

/// A packet of two receivers and 256 bytes.
std::vector<std::byte> small_packet() {
  static const std::vector<std::byte> buffer(512);
  const std::int64_t offsets[] = {0, 128}, lengths[] = {128, 128};
  kernels::Blocks blocks;
  blocks.form = kernels::Form::segments;
  blocks.nruns = 2;
  blocks.bytes = 256;
  blocks.offsets = offsets;
  blocks.lengths = lengths;
  const plan::NodePart parts[] = {{0, &blocks}, {1, &blocks}};
  const plan::NodeSend send = plan::make_node_send(parts);
  std::vector<std::byte> packet(kMinPacketRoom);
  PacketWriter writer(2);
  UniqueCursor cursor;
  PacketExtent extent;
  const PacketSource source{buffer.data(), kernels::host_kernels("auto")};
  EXPECT_TRUE(writer.write(packet, {{}, &send, 256}, cursor, source, extent).ok());
  EXPECT_EQ(extent.bytes, 256);
  packet.resize(extent.payload);
  return packet;
}

TEST(Packet, ListsAreShort) {
  EXPECT_LE(small_packet().size(), sizeof(PacketHeader) + 256 + 32);
}

TEST(Packet, NothingThatReachesBeyondItsEndIsRead) {
  const std::vector<std::byte> whole = small_packet();
  PacketView view;
  ASSERT_TRUE(read_packet(whole.data(), whole.size(), view).ok());
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(read_packet(whole.data(), size, view).ok()) << size;
  const auto reads = [&](auto change) {
    std::vector<std::byte> changed = whole;
    PacketHeader header;
    std::memcpy(&header, changed.data(), sizeof header);
    change(header);
    std::memcpy(changed.data(), &header, sizeof header);
    return read_packet(changed.data(), changed.size(), view).ok();
  };
  EXPECT_TRUE(reads([](PacketHeader&) {}));
  EXPECT_FALSE(reads([](PacketHeader& header) { --header.bytes; })) << "an entry beyond the data";
  EXPECT_FALSE(reads([](PacketHeader& header) { ++header.entries; }));
  EXPECT_FALSE(reads([](PacketHeader& header) { --header.entries; }));
  EXPECT_FALSE(reads([](PacketHeader& header) { ++header.dests; }));
  EXPECT_FALSE(reads([](PacketHeader& header) { --header.lists; }));
  EXPECT_FALSE(reads([](PacketHeader& header) { header.entries = header.lists = 0xffffffff; }));
}

/// Whatever comes, reading stays within the packet and its entries within its data.
TEST(Packet, RandomBytesDoNoHarm) {
  const std::vector<std::byte> whole = small_packet();
  Rng rng(plan::base_seed());
  PacketView view;
  for (int round = 0; round < 20000; ++round) {
    auto changed = std::make_unique<std::byte[]>(whole.size());  // bounds that a sanitizer sees
    std::copy(whole.begin(), whole.end(), changed.get());
    for (std::int64_t i = rng.between(1, 4); i > 0; --i)
      changed[static_cast<std::size_t>(rng.between(24, 63))] = static_cast<std::byte>(rng.bits());
    if (!read_packet(changed.get(), whole.size(), view).ok()) continue;
    for (const PacketEntry& entry : view.entries)
      ASSERT_LE(std::uint64_t{entry.data} + entry.bytes, view.header.bytes);
    for (const PacketDest& dest : view.dests) ASSERT_LE(dest.first + dest.count, view.entries.size());
  }
}

}  // namespace
}  // namespace mpix::engine
