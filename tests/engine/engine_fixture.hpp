// SPDX-License-Identifier: BSD-3-Clause
/// What the tests of the engine have in common.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "base/log.hpp"
#include "tests/engine/engine_world.hpp"

namespace mpix::test {

inline std::uint64_t base_seed() {
  const char* value = std::getenv("MPIX_TEST_SEED");
  static const std::uint64_t seed = value != nullptr && *value != '\0' ? std::strtoull(value, nullptr, 0)
                                                                       : std::random_device()() % 1000000;
  return seed;
}

inline std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

class EngineTest : public testing::Test {
 protected:
  EngineTest() : rng(base_seed()) {
    RecordProperty("seed", static_cast<int>(base_seed()));
    log::set_level(log::Level::none);
  }
  ~EngineTest() override {
    if (HasFailure()) std::printf("MPIX_TEST_SEED=%llu\n", static_cast<unsigned long long>(base_seed()));
  }

  /// Everything succeeded and holds the right bytes.
  static void expect_right(const std::vector<Task>& tasks) {
    for (std::size_t rank = 0; rank < tasks.size(); ++rank) {
      EXPECT_TRUE(tasks[rank].result.ok()) << "rank " << rank << ": " << tasks[rank].result.message();
      EXPECT_TRUE(tasks[rank].recv == tasks[rank].expected) << "rank " << rank;
    }
  }
  static void expect_contract(World& world) {
    const auto breaches = world.network().breaches();
    EXPECT_TRUE(breaches.empty()) << breaches.size() << " breaches, first: " << breaches.front();
  }
  void expect_works(World& world) {
    std::vector<Task> tasks = world.prepare(rng, random_traffic(rng, world.ranks(), 20000));
    ASSERT_TRUE(world.run_one(rng, tasks)) << "hangs";
    expect_right(tasks);
  }

  /// `exchanges` of up to `most` bytes for each pair, which each rank starts when it likes.
  void expect_several_work(World& world, int exchanges, std::int64_t most) {
    const int ranks = world.ranks();
    std::vector<std::vector<Task>> all;
    for (int k = 0; k < exchanges; ++k) all.push_back(world.prepare(rng, random_traffic(rng, ranks, most)));
    std::vector<int> started(at(ranks), 0);
    for (int left = ranks * exchanges; left > 0;) {
      const int rank = rng.index(at(ranks));
      if (started[at(rank)] < exchanges && rng.chance(60)) {
        world.start(rank, all[at(started[at(rank)]++)][at(rank)]);
        --left;
      }
      world.step(rank);
    }
    std::vector<std::vector<Task>*> lists;
    for (auto& tasks : all) lists.push_back(&tasks);
    ASSERT_TRUE(world.run(rng, lists)) << "hangs with " << ranks << " ranks";
    for (const auto& tasks : all) expect_right(tasks);
    expect_contract(world);
  }

  WorldOptions random_options(int ranks) {
    WorldOptions options;
    options.ranks = ranks;
    options.loopback.inline_limit = static_cast<std::size_t>(rng.magnitude(4000));
    options.loopback.chunk_limit = static_cast<std::size_t>(rng.between(1, 5000));
    options.loopback.unread_announcements = static_cast<std::size_t>(rng.between(1, 4));
    options.loopback.unread_chunks = static_cast<std::size_t>(rng.between(1, 5));
    if (rng.chance(50)) options.loopback.slots = static_cast<std::size_t>(rng.between(4, 12));
    options.loopback.same_node = rng.chance(50);
    options.loopback.credit = !options.loopback.same_node && rng.chance(70);
    options.loopback.standing = rng.chance(50) ? rng.magnitude(4000) : 0;
    options.at_once = options.loopback.same_node && rng.chance(70);
    return options;
  }

  Rng rng;
};

/// All pairs exchange `bytes`, to know what a fault concerns.
inline Traffic even_traffic(int ranks, std::int64_t bytes) {
  Traffic traffic;
  for (int i = 0; i < ranks; ++i) {
    auto& send = traffic.send.emplace_back();
    auto& recv = traffic.recv.emplace_back();
    for (int j = 0; j < ranks; ++j) {
      send.push_back({{j * bytes, bytes}});
      recv.push_back({{j * bytes, bytes / 2}, {j * bytes + bytes / 2, bytes - bytes / 2}});
    }
  }
  return traffic;
}

}  // namespace mpix::test
