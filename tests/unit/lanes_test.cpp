// SPDX-License-Identifier: BSD-3-Clause
/// Flows of many sources, spread over the ranks of the receiving node: no rank gets much more than the
/// others.
#include "plan/lanes.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include "plan/nodes.hpp"
#include "tests/support/rng.hpp"
#include "tests/unit/node_plan_support.hpp"

namespace mpix::plan {
namespace {

using test::Rng;

/// Adds a flow of `bytes` bytes in chunks of `chunk` bytes to the lanes' loads.
void add_flow(std::vector<std::int64_t>& loads, int source, int node, std::int64_t bytes,
              std::int64_t chunk) {
  for (std::int64_t i = 0; i * chunk < bytes; ++i)
    loads[static_cast<std::size_t>(lane(source, node, i, static_cast<int>(loads.size())))] +=
        std::min(chunk, bytes - i * chunk);
}

double over_the_mean(const std::vector<std::int64_t>& loads) {
  const auto sum = static_cast<double>(std::accumulate(loads.begin(), loads.end(), std::int64_t{0}));
  return static_cast<double>(*std::max_element(loads.begin(), loads.end())) -
         sum / static_cast<double>(loads.size());
}

TEST(Lanes, ChunksGoRound) {
  Rng rng(base_seed());
  for (int round = 0; round < 2000; ++round) {
    const int lanes = static_cast<int>(rng.between(1, 64));
    const int source = static_cast<int>(rng.magnitude(1 << 30));
    const int node = static_cast<int>(rng.magnitude(1 << 30));
    const std::int64_t chunk = rng.magnitude(std::int64_t{1} << 62);
    const int at = lane(source, node, chunk, lanes);
    ASSERT_GE(at, 0);
    ASSERT_LT(at, lanes);
    EXPECT_EQ(lane(source, node, chunk + 1, lanes), (at + 1) % lanes);
  }
}

/// One chunk of each of every n-th rank, the pattern that rules such as "the same place on the other node"
/// put on one lane: level to within a few chunks, at every number of sources.
TEST(Lanes, FirstChunksAreLevel) {
  for (int lanes : {2, 3, 4, 6, 8, 16, 64}) {
    for (int every : {1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32, 64, 128, 256}) {
      for (int node : {0, 1, 2, 1000}) {
        std::vector<std::int64_t> loads(static_cast<std::size_t>(lanes), 0);
        for (int n = 0; n < 512; ++n) {
          add_flow(loads, n * every, node, 1, 1);
          ASSERT_LE(over_the_mean(loads), 7) << lanes << " lanes, every " << every << "th rank, to " << node;
        }
      }
    }
  }
}

/// The first chunks of one source to many nodes do not all go to the same place there.
TEST(Lanes, NodesDiffer) {
  std::vector<std::int64_t> loads(8, 0);
  for (int node = 0; node < 8192; ++node) add_flow(loads, 3, node, 1, 1);
  EXPECT_LE(over_the_mean(loads), 200);
}

TEST(Lanes, ChunksOfEqualShares) {
  Rng rng(base_seed());
  for (int round = 0; round < 5000; ++round) {
    const int lanes = static_cast<int>(rng.between(1, 64));
    const std::int64_t least = 1 + rng.magnitude(1 << 16);
    const std::int64_t most = least + rng.magnitude(1 << 20);
    const std::int64_t bytes = 1 + rng.magnitude(least << 10);
    const std::int64_t chunk = chunk_bytes(bytes, lanes, least, most);
    ASSERT_GE(chunk, least);
    ASSERT_LE(chunk, most);
    std::vector<std::int64_t> loads(static_cast<std::size_t>(lanes), 0);
    add_flow(loads, 0, 0, bytes, chunk);
    const auto [low, high] = std::minmax_element(loads.begin(), loads.end());
    const std::int64_t chunks = (bytes + chunk - 1) / chunk;
    if (chunk == least) {
      EXPECT_LE(*high - *low, least);
    } else {
      EXPECT_LE(*high - *low, (chunks / lanes + 1) * (lanes + 1)) << bytes << " in " << chunk;
      EXPECT_LE(chunks, lanes * ((bytes / lanes + most) / most)) << "chunks are needlessly short";
    }
  }
  EXPECT_EQ(chunk_bytes(std::int64_t{1} << 62, 64, 1, std::int64_t{1} << 40), std::int64_t{1} << 40);
}

/// Any sources, with any amounts: with the starts independent of the amounts, a lane's excess is a sum of
/// bounded terms, one a flow, that cancel; 3.5 times the root of their number is passed once in 10^10
/// (Hoeffding). A rule that prefers a lane passes it soon.
TEST(Lanes, RandomFlows) {
  for (std::uint64_t round = 0; round < 300; ++round) {
    Rng rng(test::mix(base_seed(), round));
    std::vector<int> numbers;
    for (int node = 0; node < 40; ++node)
      for (std::int64_t r = rng.between(1, 16); r > 0; --r) numbers.push_back(node);
    if (rng.chance(30)) rng.shuffle(numbers);
    const NodeMap map(numbers);
    const int node = static_cast<int>(rng.between(0, map.nodes() - 1));
    std::vector<std::int64_t> fixed(map.ranks(node).size(), 0), level = fixed;
    constexpr std::int64_t kChunk = 1000, kLeast = 50;
    int flows = 0;
    const int active = static_cast<int>(rng.between(5, 100));
    for (int source = 0; source < map.nranks(); ++source) {
      if (map.node_of(source) == node || !rng.chance(active)) continue;
      const std::int64_t bytes = 1 + rng.magnitude(20 * kChunk);
      ++flows;
      add_flow(fixed, source, node, bytes, kChunk);
      add_flow(level, source, node, bytes,
               chunk_bytes(bytes, static_cast<int>(level.size()), kLeast, kChunk));
    }
    EXPECT_LE(over_the_mean(fixed), kChunk * (3.5 * std::sqrt(flows) + 1)) << "round " << round;
    // Each flow is off by a chunk of the least length, or by what rounding takes from its last round.
    EXPECT_LE(over_the_mean(level), (kLeast + 17) * (3.5 * std::sqrt(flows) + 1)) << "round " << round;
  }
}

}  // namespace
}  // namespace mpix::plan
