// SPDX-License-Identifier: BSD-3-Clause
/// The choice between writing memory through the caches and past them, from made-up costs.
#include "memory/stores.hpp"

#include <gtest/gtest.h>

#include <string>

namespace mpix::memory {
namespace {

constexpr TrialSchedule kTrials{
    .trial = 5, .verdict = 16, .every = 256, .period = 256, .longest = 256, .warm = 2};
constexpr std::size_t kBytes = 256 << 10;

/// A sender and a receiver whose copies take these many nanoseconds, by way.
struct Pair {
  std::array<std::uint64_t, kWays> nanoseconds;
  WayChooser chooser{kTrials};
  CostMeter meter{kTrials};

  /// Sends `chunks` chunks and returns how many of them went past the caches.
  unsigned send(unsigned chunks) {
    unsigned streamed = 0;
    for (unsigned i = 0; i < chunks; ++i) {
      const Way way = chooser.next({meter.cost(Way::cached), meter.cost(Way::streaming)});
      meter.note(way, nanoseconds[static_cast<std::size_t>(way)], kBytes);
      streamed += way == Way::streaming;
    }
    return streamed;
  }
};

TEST(Stores, NearPairsUseTheCaches) {
  Pair pair{{40'000, 60'000}};
  EXPECT_LE(pair.send(4096), 4096U / 40);
}

TEST(Stores, FarPairsGoPastThem) {
  Pair pair{{170'000, 60'000}};
  EXPECT_GE(pair.send(4096), 4096U - 4096U / 40 - 16);
}

TEST(Stores, PairsThatMoveAreNoticed) {
  Pair pair{{40'000, 60'000}};
  pair.send(1024);
  pair.nanoseconds = {170'000, 60'000};
  pair.send(512);
  EXPECT_GE(pair.send(1024), 990U);
  pair.nanoseconds = {40'000, 60'000};
  pair.send(512);
  EXPECT_LE(pair.send(1024), 24U);
}

TEST(Stores, NothingIsChosenBeforeBothAreKnown) {
  WayChooser chooser(kTrials);
  unsigned streamed = 0;
  for (int i = 0; i < 256; ++i) streamed += chooser.next({1000, 0}) == Way::streaming;
  EXPECT_EQ(streamed, 5U);  // the trial
}

constexpr TrialSchedule kShort{
    .before = 2, .trial = 2, .verdict = 2, .every = 1, .period = 8, .longest = 16, .warm = 1, .least_of = 3};

/// The next choices, one letter each.
std::string choices(WayChooser& chooser, const Costs& costs, int many) {
  std::string all;
  while (many-- > 0) all += chooser.next(costs) == Way::streaming ? 's' : 'c';
  return all;
}

TEST(Stores, WorkBeginsWithTheFavourite) {
  WayChooser chooser(kShort, Way::streaming);
  EXPECT_EQ(choices(chooser, {0, 2000}, 2), "ss");
  EXPECT_EQ(choices(chooser, {1000, 2000}, 4), "cccc") << "the trial, and what it has shown";
}

TEST(Stores, TrialsThatChangeNothingBecomeRare) {
  WayChooser chooser(kShort, Way::streaming);
  const std::string period = "cc" + std::string(14, 's');
  EXPECT_EQ(choices(chooser, {2000, 1000}, 2 + 8 + 16 + 16),
            "ss" + std::string("ccssssss") + period + period);
}

TEST(Stores, AFavouriteThatBecomesSlowIsLeftAtOnce) {
  WayChooser chooser(kShort, Way::streaming);
  EXPECT_EQ(choices(chooser, {1000, 1000}, 6), "ssccss");
  EXPECT_EQ(choices(chooser, {1000, 1200}, 7), "ccccccs") << "and a new period begins";
}

TEST(Stores, NoiseChangesNothing) {
  WayChooser chooser(kShort, Way::streaming);
  EXPECT_EQ(choices(chooser, {900, 1000}, 6), "ssccss");
}

TEST(Stores, FirstChunksOfAWayDoNotCount) {
  CostMeter meter(kTrials);
  meter.note(Way::streaming, 1, kBytes);
  meter.note(Way::streaming, 1, kBytes);
  EXPECT_EQ(meter.cost(Way::streaming), 0U);
  meter.note(Way::streaming, kBytes, kBytes);
  EXPECT_EQ(meter.cost(Way::streaming), 1000U);
  meter.note(Way::cached, 1, kBytes);
  EXPECT_EQ(meter.cost(Way::cached), 0U);
}

TEST(Stores, InterruptedPiecesDoNotCountBesideOthers) {
  CostMeter meter(kShort);
  for (const std::uint64_t each : {9u, 1u, 3u, 2u}) meter.note(Way::cached, each * kBytes, kBytes);
  EXPECT_EQ(meter.cost(Way::cached), 1000U);
  meter.note(Way::cached, 7 * kBytes, kBytes);
  EXPECT_EQ(meter.cost(Way::cached), 2000U) << "of the last three";
}

TEST(Stores, AnInterruptedChunkWeighsLittle) {
  CostMeter meter(kTrials);
  for (int i = 0; i < 8; ++i) meter.note(Way::cached, 100'000, 100'000);
  meter.note(Way::cached, 100'000'000, 100'000);
  EXPECT_LE(meter.cost(Way::cached), 2500U);
  meter.note(Way::cached, 0, 0);  // nothing was copied
  EXPECT_LE(meter.cost(Way::cached), 2500U);
}

}  // namespace
}  // namespace mpix::memory
