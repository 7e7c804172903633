// SPDX-License-Identifier: BSD-3-Clause
// Lists that forwarders keep: bytes that come without lists, in whatever pieces, reach each of their places
// once; lists come only once; what is kept stays within its bound; what is not kept is refused.
#include "engine/kept_lists.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/host.hpp"
#include "tests/support/rng.hpp"
#include "tests/unit/node_plan_support.hpp"
#include "tests/unit/packet_support.hpp"

namespace mpix::engine {
namespace {

using test::Rng;

constexpr std::int64_t kPlenty = 1 << 20;

/// One lane from a rank to a forwarder, whose packets are cut at random.
class Lane {
 public:
  Lane(Rng& rng, std::shared_ptr<ListNumbers> numbers, KeptLists& kept, std::int64_t most)
      : rng_(rng),
        receivers_(static_cast<std::size_t>(rng.between(1, 6))),
        buffer_(static_cast<std::size_t>(rng.between(3000, 60000))),
        traffic_(rng, receivers_, static_cast<std::int64_t>(buffer_.size())),
        writer_(receivers_),
        list_(std::move(numbers), most),
        kept_(kept) {
    if (!traffic_.parts.empty()) send_ = plan::make_node_send(traffic_.parts);
    for (std::size_t range = 0; range + 1 < send_.first.size(); ++range)
      useful_ &= send_.first[range + 1] - send_.first[range] <= kMostDeliveries;
    useful_ &= !traffic_.parts.empty();
  }
  bool useful() const noexcept { return useful_; }
  SentList& list() noexcept { return list_; }

  /// Sends new content once, of which others send what is `skipped`, in percent; checks what arrives.
  /// Returns the bytes of lists.
  std::size_t exchange(std::int64_t skipped) {
    for (std::byte& byte : buffer_) byte = static_cast<std::byte>(rng_.bits());
    received_.clear();
    for (const kernels::Blocks& blocks : traffic_.blocks)
      received_.emplace_back(static_cast<std::size_t>(blocks.bytes));
    std::size_t lists = 0;
    UniqueCursor cursor;
    for (std::int64_t position = 0; position < send_.unique_bytes;) {
      const std::int64_t most = std::min(rng_.between(1, 20000), send_.unique_bytes - position);
      const bool by_others = rng_.chance(static_cast<int>(skipped));
      position += send(cursor, position, most, by_others, lists);
      if (testing::Test::HasFatalFailure()) return lists;
    }
    for (std::size_t local = 0; local < receivers_; ++local) {
      EXPECT_TRUE(std::all_of(received_[local].times.begin(), received_[local].times.end(),
                              [](int times) { return times == 1; }));
      EXPECT_EQ(received_[local].bytes, traffic_.expected(local, buffer_)) << "receiver " << local;
    }
    return lists;
  }

 private:
  /// One packet; returns the bytes in it.
  std::int64_t send(UniqueCursor& cursor, std::int64_t position, std::int64_t most, bool by_others,
                    std::size_t& lists) {
    std::vector<std::byte> room(kMinPacketRoom + static_cast<std::size_t>(rng_.between(0, 40000)));
    const PacketSource source{buffer_.data(), kernels::host_kernels("auto")};
    PacketOrder order{{}, &send_, most};
    PacketExtent extent;
    order.header.position = position;
    const std::int64_t known = by_others ? 0 : list_.known(position);
    if (known > 0) {
      order.header.list = list_.number();
      order.most = std::min(most, known);
      EXPECT_TRUE(PacketWriter::write_data(room, order, cursor, source, extent).ok());
    } else {
      if (!by_others) order.header.list = list_.number_to_keep();
      if (order.header.list != 0) order.most = std::min(most, list_.unknown(position));
      EXPECT_TRUE(writer_.write(room, order, cursor, source, extent).ok());
      if (order.header.list == 0 || !list_.keep(position, extent.bytes, extent.lists)) keep_no_lists(room);
      if (!by_others) lists += extent.lists;
    }
    EXPECT_GT(extent.bytes, 0);
    receive(room.data(), extent.payload);
    return extent.bytes;
  }

  void receive(const std::byte* packet, std::size_t size) {
    PacketView view;
    ASSERT_TRUE(read_packet(packet, size, view).ok());
    if (!view.header.recalls()) {
      kept_.keep(view.header, packet + sizeof view.header);
      return take(view);
    }
    for (std::int64_t from = 0, bytes = 0; from < view.header.bytes; from += bytes, view.data += bytes) {
      ASSERT_TRUE(kept_.recall(view.header, from, view, bytes).ok());
      ASSERT_GT(bytes, 0);
      ASSERT_LE(bytes, view.header.bytes - from);
      for (const PacketEntry& entry : view.entries)
        ASSERT_LE(std::int64_t{entry.data} + entry.bytes, bytes) << "beyond the part";
      take(view);
    }
  }

  void take(const PacketView& view) {
    for (const PacketDest& dest : view.dests)
      received_[static_cast<std::size_t>(dest.local)].take(dest, view.entries_of(dest), view.data);
  }

  Rng& rng_;
  std::size_t receivers_;
  std::vector<std::byte> buffer_;
  NodeTraffic traffic_;
  plan::NodeSend send_;
  PacketWriter writer_;
  SentList list_;
  KeptLists& kept_;
  std::vector<Received> received_;
  bool useful_ = true;
};

TEST(KeptLists, ListsComeOnce) {
  for (std::uint64_t round = 0; round < 100; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    Rng rng(test::mix(plan::base_seed(), round));
    const auto numbers = std::make_shared<ListNumbers>();
    KeptLists kept;
    Lane lane(rng, numbers, kept, kPlenty);
    if (!lane.useful()) continue;
    EXPECT_GT(lane.exchange(0), 0u);
    for (int again = 0; again < 3; ++again) EXPECT_EQ(lane.exchange(0), 0u);
    lane.list().forget();
    EXPECT_GT(lane.exchange(0), 0u) << "after what was given up";
    EXPECT_EQ(lane.exchange(0), 0u);
    if (HasFailure()) return;
  }
}

/// Where other ranks send parts of a lane, the forwarder has gaps that are filled later.
TEST(KeptLists, OfPartsThatDifferEachTime) {
  for (std::uint64_t round = 0; round < 100; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    Rng rng(test::mix(plan::base_seed(), round));
    const auto numbers = std::make_shared<ListNumbers>();
    KeptLists kept;
    Lane lane(rng, numbers, kept, kPlenty);
    if (!lane.useful()) continue;
    for (int again = 0; again < 5; ++again) lane.exchange(40);
    lane.exchange(0);
    EXPECT_EQ(lane.exchange(0), 0u);
    if (HasFailure()) return;
  }
}

/// Plans come and go and share what a forwarder keeps.
TEST(KeptLists, OfSeveralPlansWithinABound) {
  for (std::uint64_t round = 0; round < 30; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    Rng rng(test::mix(plan::base_seed(), round));
    const auto numbers = std::make_shared<ListNumbers>();
    KeptLists kept;
    const std::int64_t most = rng.between(0, 3000);
    std::vector<std::unique_ptr<Lane>> lanes(4);
    for (int step = 0; step < 60; ++step) {
      std::unique_ptr<Lane>& lane = lanes[static_cast<std::size_t>(rng.between(0, 3))];
      if (lane == nullptr || rng.chance(20)) {
        lane.reset();
        lane = std::make_unique<Lane>(rng, numbers, kept, most);
      }
      if (lane->useful()) lane->exchange(10);
      if (rng.chance(5)) lane->list().forget();
      if (HasFailure()) return;
      EXPECT_LE(numbers->bytes(), most);
    }
  }
}

TEST(KeptLists, WhatIsNotKeptIsRefused) {
  Rng rng(plan::base_seed());
  KeptLists kept;
  PacketView view;
  std::int64_t bytes = 0;
  PacketHeader header;
  header.list = 1;
  header.bytes = 10;
  EXPECT_FALSE(kept.recall(header, 0, view, bytes).ok()) << "no list";
  const std::byte lists[] = {std::byte{0}};  // none of any receiver
  PacketHeader first = header;
  first.position = 100;
  first.lists = 1;
  kept.keep(first, lists);
  EXPECT_FALSE(kept.recall(header, 0, view, bytes).ok()) << "before the part";
  header.position = 110;
  EXPECT_FALSE(kept.recall(header, 0, view, bytes).ok()) << "behind the part";
  header.position = 105;
  EXPECT_TRUE(kept.recall(header, 0, view, bytes).ok());
  EXPECT_EQ(bytes, 5);
  EXPECT_FALSE(kept.recall(header, 5, view, bytes).ok()) << "a part further on";
  first.list |= kNewList;
  first.position = 0;
  kept.keep(first, lists);
  EXPECT_FALSE(kept.recall(header, 0, view, bytes).ok()) << "of a list that was dropped";
}

TEST(KeptLists, IntroductionsAreKnownWhereThePartBeganThatHasThem) {
  SentList list(std::make_shared<ListNumbers>(), kPlenty);
  ASSERT_NE(list.number_to_keep(), 0u);
  ASSERT_TRUE(list.keep(100, 50, 10, true));  // others have sent what is before
  EXPECT_TRUE(list.introduces(100));
  EXPECT_FALSE(list.introduces(0)) << "nothing is kept there";
  ASSERT_TRUE(list.keep(0, 100, 10, false));
  EXPECT_GT(list.known(0), 0);
  EXPECT_FALSE(list.introduces(0));
  EXPECT_FALSE(list.introduces(120)) << "the receiver has them with the part's first byte";
  list.forget();
  EXPECT_FALSE(list.introduces(100));
}

}  // namespace
}  // namespace mpix::engine
