// SPDX-License-Identifier: BSD-3-Clause
// Credit for chunks: what is granted fits staging memory and pace, and nothing granted is left over but
// standing grants.
#include "transport/ucx/budget.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>

namespace mpix::transport::ucx {
namespace {

using namespace std::chrono_literals;
constexpr std::int64_t kSlot = 512 << 10;

/// Lets `bytes` arrive evenly during `time`, looked at every millisecond.
Pacer::Clock::time_point feed(Pacer& pacer, Pacer::Clock::time_point now, std::int64_t bytes,
                              std::chrono::milliseconds time) {
  pacer.look(now);
  for (auto t = 0ms; t < time; t += 1ms) {
    pacer.arrived(bytes / time.count());
    now += 1ms;
    pacer.look(now);
  }
  return now;
}

TEST(Pacer, SetsNoLimitBeforeItKnowsTheRate) {
  Pacer pacer(kSlot);
  EXPECT_EQ(pacer.chunk(), kSlot);
  EXPECT_GT(pacer.most(), std::int64_t{1} << 40);
}

TEST(Pacer, SlowLinksGetShortChunksAndFewOnTheirWay) {
  Pacer pacer(kSlot);
  feed(pacer, {}, 62'500'000, 1000ms);
  EXPECT_NEAR(pacer.rate(), 62.5e6, 2e6);
  EXPECT_LE(pacer.chunk(), 64 << 10);
  EXPECT_LE(pacer.most(), 1 << 20);
  EXPECT_GE(pacer.most(), 2 * pacer.chunk());
}

// Four ranks' part of a short exchange: rates of some ranks only would leave the others with all of the
// network.
TEST(Pacer, ShortExchangesTellTheRate) {
  Pacer pacer(256 << 10);
  const Pacer::Clock::time_point now = feed(pacer, {}, 400'000, 10ms);
  EXPECT_NEAR(pacer.rate(), 40e6, 4e6);
  pacer.idle();
  feed(pacer, now, 20'000, 50ms);
  EXPECT_NEAR(pacer.rate(), 40e6, 4e6) << "from too few bytes to tell";
}

TEST(Pacer, FastLinksGetWhatStagingMemoryHas) {
  Pacer pacer(kSlot);
  feed(pacer, {}, 10'000'000'000, 1000ms);
  EXPECT_EQ(pacer.chunk(), kSlot);
  EXPECT_GE(pacer.most(), 16 << 20);
}

TEST(Pacer, TimesWithoutTrafficSayNothing) {
  Pacer pacer(kSlot);
  auto now = feed(pacer, {}, 100'000'000, 1000ms);
  const double before = pacer.rate();
  pacer.idle();
  now += 10s;
  feed(pacer, now, 100'000'000, 1000ms);
  EXPECT_NEAR(pacer.rate(), before, 0.05 * before);
}

/// A clock that tests set.
Pacer::Clock::time_point the_time;

/// Peers that send chunks as long as they may, each after a random number of others.
class Peers {
 public:
  Peers(ReceiveBudget& budget, std::size_t count) : budget_(budget) {
    budget.reserve(count);
    demands_.resize(count);
    left_.resize(count);
    held_.resize(count);
  }

  void want(std::size_t peer, std::int64_t bytes) {
    left_[peer] += bytes;
    budget_.expect(demands_[peer], bytes);
  }
  void grant() {
    budget_.grant([](Demand&) {}, [] { return the_time; });
  }
  /// Sends a chunk of the peer if it may; returns whether it did.
  bool send(std::size_t peer) {
    Demand& demand = demands_[peer];
    if (left_[peer] == 0 || demand.arrived == demand.granted) return false;
    std::uint64_t most = demand.chunk_bytes;
    if (demand.coming() <= demand.standing) most = std::min<std::uint64_t>(most, budget_.short_bytes());
    const std::int64_t bytes = std::min(left_[peer], static_cast<std::int64_t>(most));
    left_[peer] -= bytes;
    budget_.arrived(demand, bytes);
    held_[peer].push_back(bytes);
    return true;
  }
  void pop(std::size_t peer) {
    if (held_[peer].empty()) return;
    held_[peer].pop_front();
    budget_.popped(demands_[peer]);
  }
  /// Of what has arrived and was not popped, and of what may come at any time.
  std::int64_t memory() const {
    std::int64_t bytes = 0;
    for (std::size_t peer = 0; peer < demands_.size(); ++peer) {
      for (const std::int64_t chunk : held_[peer]) bytes += chunk;
      const Demand& demand = demands_[peer];
      const std::uint64_t standing = std::min(demand.coming(), demand.standing);
      bytes += static_cast<std::int64_t>(standing * budget_.short_bytes() +
                                         (demand.coming() - standing) * demand.chunk_bytes);
    }
    return bytes;
  }
  bool all_sent() const {
    return std::all_of(left_.begin(), left_.end(), [](std::int64_t left) { return left == 0; });
  }
  void finish() {
    for (std::size_t peer = 0; peer < demands_.size(); ++peer)
      while (!held_[peer].empty()) pop(peer);
  }
  const std::deque<Demand>& demands() const { return demands_; }

 private:
  ReceiveBudget& budget_;
  std::deque<Demand> demands_;
  std::vector<std::int64_t> left_;
  std::vector<std::deque<std::int64_t>> held_;
};

TEST(ReceiveBudget, AllGetTheirTurnAndOnlyStandingGrantsAreLeftOver) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    const std::size_t slots = 2 + random() % 40, count = 1 + random() % 60;
    ReceiveBudget budget(slots * kSlot, kSlot, 28);
    const std::size_t for_all = budget.free();
    Peers peers(budget, count);
    for (int exchange = 0; exchange < 3; ++exchange) {
      for (std::size_t peer = 0; peer < count; ++peer)
        if (random() % 4 != 0)
          peers.want(peer, 1 + static_cast<std::int64_t>(random() % (random() % 2 == 0 ? 8 << 20 : 100'000)));
      for (int step = 0; !peers.all_sent(); ++step) {
        ASSERT_LT(step, 1'000'000) << "nobody may send";
        the_time += std::chrono::microseconds(random() % (1 + random() % 3000));
        peers.grant();
        const std::size_t peer = random() % count;
        random() % 3 == 0 ? peers.pop(peer) : static_cast<void>(peers.send(peer));
        // One short chunk each beyond, where all waits.
        ASSERT_LE(peers.memory(), static_cast<std::int64_t>(slots * kSlot + count * (32 << 10)));
        for (const Demand& demand : peers.demands()) ASSERT_LE(demand.held(), 28 + ReceiveBudget::kStanding);
      }
      peers.finish();
      for (const Demand& demand : peers.demands())
        ASSERT_EQ(demand.coming(), demand.standing) << "grants are left over, or not given again";
      ASSERT_EQ(budget.free(), for_all);
    }
  }
}

TEST(ReceiveBudget, APeerThatWasServedBeginsItsNextMessageAtOnce) {
  ReceiveBudget budget(64 * kSlot, kSlot, 28);
  Peers peers(budget, 3);
  for (int exchange = 0; exchange < 5; ++exchange) {
    for (std::size_t peer = 0; peer < 3; ++peer) {
      EXPECT_EQ(peers.demands()[peer].coming(), exchange > 0 ? ReceiveBudget::kStanding : 0);
      peers.want(peer, 5 * kSlot);
    }
    while (!peers.all_sent()) {
      peers.grant();
      for (std::size_t peer = 0; peer < 3; ++peer)
        if (peers.send(peer)) peers.pop(peer);
    }
    peers.finish();
  }
}

TEST(ReceiveBudget, ManyPeersHaveAStandingGrant) {
  constexpr std::size_t kPeers = 40;
  ReceiveBudget budget(16 << 20, kSlot, 28);
  Peers peers(budget, kPeers);
  for (std::size_t peer = 0; peer < kPeers; ++peer) peers.want(peer, 1000);
  const auto standing = std::count_if(peers.demands().begin(), peers.demands().end(),
                                      [](const Demand& demand) { return demand.standing > 0; });
  EXPECT_EQ(standing, 32);
  EXPECT_EQ(budget.free(), 192u);
}

// The peer may have sent long chunks already when it is told that they are to be shorter.
TEST(ReceiveBudget, NothingIsLeftOverWhereChunksGetShorter) {
  ReceiveBudget budget(64 * kSlot, kSlot, 28);
  Demand demand;
  budget.reserve(1);
  const auto grant = [&] { budget.grant([](Demand&) {}, [] { return the_time; }); };
  budget.expect(demand, 1);
  grant();
  budget.arrived(demand, 1);
  budget.popped(demand);
  const std::size_t idle = budget.free();
  budget.expect(demand, 4 << 20);
  grant();
  const std::uint64_t length = demand.chunk_bytes, before = demand.long_coming();
  ASSERT_GT(before, 1u);
  budget.expect(demand, 256 << 10);
  grant();
  ASSERT_LT(net_piece(256 << 10), static_cast<std::int64_t>(length));
  for (std::uint64_t i = 0; i < before; ++i) {
    budget.arrived(demand, static_cast<std::int64_t>(length));
    budget.popped(demand);
    grant();
  }
  while (demand.remaining > 0) {
    ASSERT_GT(demand.coming(), 0u);
    budget.arrived(demand,
                   std::min<std::int64_t>(demand.remaining, static_cast<std::int64_t>(demand.chunk_bytes)));
    budget.popped(demand);
    grant();
  }
  EXPECT_EQ(demand.coming(), ReceiveBudget::kStanding);
  EXPECT_EQ(budget.free(), idle);
}

// A message that another one in the other direction would carry.
TEST(ReceiveBudget, PeersThatCanBeginAreNotToldAtOnce) {
  ReceiveBudget budget(64 * kSlot, kSlot, 28);
  Demand demand;
  budget.reserve(1);
  int told = 0;
  const auto grant = [&] { budget.grant([&](Demand&) { ++told; }, [] { return the_time; }); };
  budget.expect(demand, 1000);
  grant();
  EXPECT_EQ(told, 1) << "it had nothing";
  budget.arrived(demand, 1000);
  budget.popped(demand);
  grant();
  EXPECT_EQ(told, 1) << "it can send one chunk";
  budget.arrived(demand, 1000);
  budget.expect(demand, 1000);
  budget.popped(demand);
  grant();
  EXPECT_EQ(told, 2) << "it can send none";
  ReceiveBudget::told(demand);  // by an announcement, say
  budget.arrived(demand, 64 << 10);
  budget.expect(demand, 4 << 20);
  grant();
  EXPECT_EQ(told, 3) << "it waits for more";
}

TEST(ReceiveBudget, ChunksThatNobodyTakesDoNotKeepOthersOutForEver) {
  ReceiveBudget budget(2 * kSlot, kSlot, 28);
  Peers peers(budget, 4);
  for (std::size_t peer = 0; peer < 2; ++peer) {  // others will not have a standing grant
    peers.want(peer, 1);
    peers.grant();
    ASSERT_TRUE(peers.send(peer));
    peers.pop(peer);
  }
  const std::size_t for_all = budget.free();
  peers.want(0, 100 * kSlot);
  peers.grant();
  while (peers.send(0)) {
  }
  peers.want(2, kSlot);
  peers.grant();
  ASSERT_TRUE(peers.send(2)) << "there is room for a shorter chunk";
  while (peers.send(2)) {
  }
  peers.want(3, kSlot);
  for (int i = 0; i < 100; ++i) peers.grant();
  EXPECT_EQ(budget.free(), 0u);
  EXPECT_FALSE(peers.send(3)) << "beyond the memory, at once";
  for (int i = 0; i < 10 && !peers.demands()[3].granted; ++i) {
    the_time += 20ms;
    peers.grant();
  }
  EXPECT_TRUE(peers.send(3));
  EXPECT_FALSE(peers.send(3)) << "more than one beyond the memory";
  peers.finish();
  std::size_t held = 0;
  for (const Demand& demand : peers.demands()) held += demand.long_ones() * demand.cost;
  EXPECT_EQ(budget.free() + held, for_all);
}

TEST(ReceiveBudget, WhatIsNotExpectedAnyMoreIsNotGranted) {
  ReceiveBudget budget(64 * kSlot, kSlot, 28);
  Demand demand;
  budget.reserve(1);
  budget.expect(demand, 100 * kSlot);
  budget.expect(demand, -100 * kSlot);
  budget.grant([](Demand&) {}, [] { return the_time; });
  EXPECT_EQ(demand.granted, demand.standing);
  // Chunks that come all the same are counted, and dropped by whoever finds them.
  demand.granted = 2;
  budget.arrived(demand, kSlot);
  budget.expect(demand, kSlot);
  EXPECT_EQ(demand.remaining, 0);
}

}  // namespace
}  // namespace mpix::transport::ucx
