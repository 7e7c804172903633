// SPDX-License-Identifier: BSD-3-Clause
/// Flows of many sources, spread over the ranks of the receiving node: no rank gets much more than the
/// others.
#include "plan/lanes.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "plan/nodes.hpp"
#include "tests/support/rng.hpp"
#include "tests/unit/node_plan_support.hpp"

namespace mpix::plan {
namespace {

using test::Rng;

using Loads = std::vector<std::int64_t>;

void add_flow(Loads& loads, const LaneSource& source, int node, std::int64_t bytes, std::int64_t least) {
  for (const LaneShare& share : lane_shares(source, node, static_cast<int>(loads.size()), bytes, least))
    loads[static_cast<std::size_t>(share.lane)] += share.end - share.begin;
}

double over_the_mean(const Loads& loads) {
  const auto sum = static_cast<double>(std::accumulate(loads.begin(), loads.end(), std::int64_t{0}));
  return static_cast<double>(*std::max_element(loads.begin(), loads.end())) -
         sum / static_cast<double>(loads.size());
}

TEST(Lanes, SharesCoverTheFlow) {
  Rng rng(base_seed());
  for (int round = 0; round < 5000; ++round) {
    const int ranks = static_cast<int>(rng.between(1, 64)), lanes = static_cast<int>(rng.between(1, 64));
    const LaneSource source{static_cast<int>(rng.magnitude(1 << 30)),
                            static_cast<int>(rng.between(0, ranks - 1)), ranks};
    const std::int64_t bytes = 1 + rng.magnitude(std::int64_t{1} << 62);
    const std::int64_t least = rng.magnitude(1 << 20);
    const auto shares = lane_shares(source, static_cast<int>(rng.magnitude(1 << 30)), lanes, bytes, least);
    std::int64_t end = 0;
    int lane = -1;
    for (const LaneShare& share : shares) {
      ASSERT_EQ(share.begin, end);
      ASSERT_LT(share.begin, share.end);
      ASSERT_GT(share.lane, lane);
      end = share.end;
      lane = share.lane;
    }
    ASSERT_EQ(end, bytes);
    ASSERT_GE(shares.front().lane, 0);
    ASSERT_LT(lane, lanes);
    if (bytes < least) {
      EXPECT_EQ(shares.size(), 1u);
    }
  }
}

/// Between nodes of as many ranks, a rank talks with its counterparts only.
TEST(Lanes, Rails) {
  for (int ranks : {1, 2, 3, 8, 64})
    for (int local = 0; local < ranks; ++local) {
      const auto shares = lane_shares({100 + local, local, ranks}, 7, ranks, 1 << 20, 1 << 10);
      ASSERT_EQ(shares.size(), 1u);
      EXPECT_EQ(shares[0].lane, local);
      EXPECT_EQ(opposite_lane(local, ranks, ranks), local);
      EXPECT_EQ(opposite_lane(local, ranks, 1), 0);
      EXPECT_EQ(opposite_lane(local, ranks, 2 * ranks), 2 * local + 1);
    }
}

/// Ranks that send alike load all lanes alike, whatever the numbers of ranks.
TEST(Lanes, LevelBetweenUnevenNodes) {
  for (int ranks = 1; ranks <= 20; ++ranks)
    for (int lanes = 1; lanes <= 20; ++lanes) {
      Loads loads(static_cast<std::size_t>(lanes), 0);
      for (int local = 0; local < ranks; ++local) add_flow(loads, {local, local, ranks}, 1, 1'000'000, 1);
      EXPECT_LE(over_the_mean(loads), ranks) << ranks << " ranks to " << lanes << " lanes";
    }
}

/// Of flows too short to be cut, from nodes of one rank: level to within a few, at every number of sources,
/// whether the sources are consecutive ranks or every n-th rank.
TEST(Lanes, ShortFlowsAreLevel) {
  for (int lanes : {2, 3, 4, 6, 8, 16, 64}) {
    for (int every : {1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32, 64, 128, 256}) {
      for (int node : {0, 1, 2, 1000}) {
        Loads loads(static_cast<std::size_t>(lanes), 0);
        for (int n = 0; n < 512; ++n) {
          add_flow(loads, {n * every, 0, 1}, node, 1, 100);
          ASSERT_LE(over_the_mean(loads), 7) << lanes << " lanes, every " << every << "th rank, to " << node;
        }
      }
    }
  }
}

/// Short flows of one source to many nodes do not all go to the same place there.
TEST(Lanes, NodesDiffer) {
  Loads loads(8, 0);
  for (int node = 0; node < 8192; ++node) add_flow(loads, {3, 0, 1}, node, 1, 100);
  EXPECT_LE(over_the_mean(loads), 200);
}

/// Any sources, with any amounts: with the lanes independent of the amounts, a lane's excess is a sum of
/// bounded terms, one a flow, that cancel; 3.5 times the root of their number is passed once in 10^10
/// (Hoeffding). A rule that prefers a lane passes it soon.
TEST(Lanes, RandomFlows) {
  for (std::uint64_t round = 0; round < 300; ++round) {
    Rng rng(test::mix(base_seed(), round));
    std::vector<int> numbers;
    const auto ranks = rng.between(1, 16);
    for (int node = 0; node < 40; ++node)
      for (std::int64_t r = rng.chance(30) ? rng.between(1, 16) : ranks; r > 0; --r) numbers.push_back(node);
    rng.shuffle(numbers);
    const NodeMap map(numbers);
    const int node = static_cast<int>(rng.between(0, map.nodes() - 1));
    Loads loads(map.ranks(node).size(), 0);
    constexpr std::int64_t kMost = 20'000, kLeast = 50;
    int flows = 0;
    const int active = static_cast<int>(rng.between(5, 100));
    for (int rank = 0; rank < map.nranks(); ++rank) {
      const int from = map.node_of(rank);
      if (from == node || !rng.chance(active)) continue;
      ++flows;
      add_flow(loads, {rank, map.local_of(rank), static_cast<int>(map.ranks(from).size())}, node,
               1 + rng.magnitude(kMost), kLeast);
    }
    EXPECT_LE(over_the_mean(loads), kMost * (3.5 * std::sqrt(flows) + 1)) << "round " << round;
  }
}

}  // namespace
}  // namespace mpix::plan
