// SPDX-License-Identifier: BSD-3-Clause
// Lists that forwarders keep: bytes that come without lists, in whatever pieces, reach each of their places
// once; lists come only once; what is kept stays within its bound; what is not kept is refused.
#include "engine/kept_lists.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/lane_support.hpp"
#include "tests/unit/node_plan_support.hpp"

namespace mpix::engine {
namespace {

/// A lane to a forwarder that puts lists and bytes together.
class KeptLane : public Lane {
 public:
  KeptLane(Rng& rng, std::shared_ptr<ListNumbers> numbers, KeptLists& kept, std::int64_t most)
      : Lane(rng, static_cast<std::size_t>(rng.between(1, 6)), std::move(numbers), most), kept_(kept) {}

  /// Checks what arrives; returns the bytes of lists.
  std::size_t exchange(std::int64_t skipped) {
    received_.clear();
    for (std::size_t local = 0; local < receivers(); ++local)
      received_.emplace_back(static_cast<std::size_t>(bytes(local)));
    const std::size_t lists = Lane::exchange(
        1, skipped, [this](const std::byte* packet, std::size_t size) { receive(packet, size); });
    for (std::size_t local = 0; local < receivers(); ++local) {
      EXPECT_TRUE(std::all_of(received_[local].times.begin(), received_[local].times.end(),
                              [](int times) { return times == 1; }));
      EXPECT_EQ(received_[local].bytes, expected(local)) << "receiver " << local;
    }
    return lists;
  }

 private:
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

  KeptLists& kept_;
  std::vector<Received> received_;
};

TEST(KeptLists, ListsComeOnce) {
  for (std::uint64_t round = 0; round < 100; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    Rng rng(test::mix(plan::base_seed(), round));
    const auto numbers = std::make_shared<ListNumbers>();
    KeptLists kept;
    KeptLane lane(rng, numbers, kept, kPlenty);
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
    KeptLane lane(rng, numbers, kept, kPlenty);
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
    std::vector<std::unique_ptr<KeptLane>> lanes(4);
    for (int step = 0; step < 60; ++step) {
      std::unique_ptr<KeptLane>& lane = lanes[static_cast<std::size_t>(rng.between(0, 3))];
      if (lane == nullptr || rng.chance(20)) {
        lane.reset();
        lane = std::make_unique<KeptLane>(rng, numbers, kept, most);
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
  EXPECT_GT(list.known(0, kPlenty), 0);
  EXPECT_FALSE(list.introduces(0));
  EXPECT_FALSE(list.introduces(120)) << "the receiver has them with the part's first byte";
  list.forget();
  EXPECT_FALSE(list.introduces(100));
}

/// Whole parts are handed out with less effort.
TEST(KeptLists, WhatIsKnownEndsWithAPartWhereThatIsNotMuchLess) {
  SentList list(std::make_shared<ListNumbers>(), kPlenty);
  ASSERT_NE(list.number_to_keep(), 0u);
  for (const auto& [position, bytes] : {std::pair{0, 60}, {60, 50}, {110, 300}, {500, 10}})
    ASSERT_TRUE(list.keep(position, bytes, 10));
  EXPECT_EQ(list.known(0, 1000), 410) << "up to a gap";
  EXPECT_EQ(list.known(0, 110), 110);
  EXPECT_EQ(list.known(0, 200), 110) << "two parts";
  EXPECT_EQ(list.known(0, 109), 60) << "one part";
  EXPECT_EQ(list.known(0, 300), 300) << "no part ends near";
  EXPECT_EQ(list.known(0, 30), 30);
  EXPECT_EQ(list.known(40, 100), 70) << "from the middle of a part";
  EXPECT_EQ(list.known(40, 20), 20);
  EXPECT_EQ(list.known(0, 0), 0);
  EXPECT_EQ(list.known(410, 1000), 0) << "not known";
  EXPECT_EQ(list.known(505, 1000), 5);
}

}  // namespace
}  // namespace mpix::engine
