// SPDX-License-Identifier: BSD-3-Clause
/// The engine without MPI: all ranks in one process, over transports that behave and over some that do not.
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "tests/engine/engine_fixture.hpp"

namespace mpix::test {
namespace {

TEST_F(EngineTest, RandomExchanges) {
  for (const int ranks : {1, 2, 3, 5, 8})
    for (int round = 0; round < 40; ++round) {
      World world(random_options(ranks));
      for (int k = 0; k < 4; ++k) {
        std::vector<Task> tasks = world.prepare(rng, random_traffic(rng, ranks, k == 3 ? 60000 : 3000));
        ASSERT_TRUE(world.run_one(rng, tasks)) << "hangs with " << ranks << " ranks";
        expect_right(tasks);
      }
      expect_contract(world);
    }
}

TEST_F(EngineTest, InPlace) {
  for (const int ranks : {1, 2, 3, 5, 8})
    for (int round = 0; round < 40; ++round) {
      World world(random_options(ranks));
      std::vector<Task> tasks = world.prepare(rng, random_traffic(rng, ranks, 20000, true), true);
      ASSERT_TRUE(world.run_one(rng, tasks, true)) << "hangs with " << ranks << " ranks";
      expect_right(tasks);
      expect_contract(world);
    }
}

/// All ranks start all exchanges in the same order, each as soon or as late as it likes.
TEST_F(EngineTest, SeveralInFlight) {
  for (const int ranks : {1, 2, 3, 5})
    for (int round = 0; round < 40; ++round) {
      World world(random_options(ranks));
      expect_several_work(world, 6, 5000);
      if (HasFatalFailure()) return;
    }
}

/// Between nodes a rank sends what its credit allows before it has heard of its peer; the first chunk is one
/// message with the announcement. Inside a node it waits.
TEST_F(EngineTest, BeginsBeforeThePeer) {
  constexpr std::int64_t kBytes = 20000, kStanding = 3000;
  for (const bool same_node : {false, true}) {
    WorldOptions options;
    options.loopback = {.chunk_limit = 2000, .same_node = same_node, .standing = kStanding};
    World world(options);
    std::vector<Task> tasks = world.prepare(rng, even_traffic(2, kBytes));
    world.start(0, tasks[0]);
    for (int i = 0; i < 20; ++i) world.step(0);
    std::int64_t sent = 0;
    for (const Wire::Message& message : world.network().wire(0, 1).chunks) sent += message.chunk.bytes;
    EXPECT_EQ(sent, same_node ? 0 : kStanding);
    world.start(1, tasks[1]);
    std::vector<std::vector<Task>*> all{&tasks};
    ASSERT_TRUE(world.run(rng, all)) << "hangs";
    expect_right(tasks);
    EXPECT_EQ(tasks[0].traffic.messages, same_node ? 0 : tasks[0].traffic.chunks);
    expect_contract(world);
  }
}

/// Room is refused, arrivals are seen late, chunks are cut short: slower, but right.
TEST_F(EngineTest, UnwillingTransport) {
  for (const int ranks : {2, 3, 5})
    for (const bool in_place : {false, true})
      for (int round = 0; round < 40; ++round) {
        WorldOptions options = random_options(ranks);
        options.faults = {.seed = rng.bits(), .refuse = 60, .hide = 60, .cut = 50, .unflushed = 50};
        World world(options);
        for (int k = 0; k < 3; ++k) {
          std::vector<Task> tasks = world.prepare(rng, random_traffic(rng, ranks, 4000, in_place), in_place);
          ASSERT_TRUE(world.run_one(rng, tasks, in_place)) << "hangs with " << ranks << " ranks";
          expect_right(tasks);
        }
        expect_contract(world);
      }
}

class RepeatsTest : public EngineTest {
 protected:
  RepeatsTest() {
    options_.ranks = 3;
    options_.loopback.same_node = true;
    options_.loopback.credit = false;
    options_.loopback.chunk_limit = static_cast<std::size_t>(rng.between(4096, 20000));
    options_.faults = {.seed = rng.bits(), .refuse = 20, .hide = 20, .cut = 0, .unflushed = 20};
  }
  /// Bytes that rank 1 sends as rows alone in an exchange that must go right.
  std::int64_t rows_of_exchange(World& world, const Traffic& traffic, std::vector<Task>& tasks) {
    world.refill(rng, traffic, tasks);
    EXPECT_TRUE(world.run_one(rng, tasks)) << "hangs";
    expect_right(tasks);
    expect_contract(world);
    return tasks[1].traffic.rows;
  }

  WorldOptions options_;
};

/// What repeats is sent once, with lists of its places until the receiver has kept these.
TEST_F(RepeatsTest, PlacesAreKept) {
  for (const std::int64_t row : {64, 100, 256, 1000, 5000}) {
    World world(options_);
    const std::int64_t rows = std::max(std::int64_t{100}, 100000 / row);
    const Traffic traffic = repeating_traffic(rng, world.ranks(), rows, row);
    std::vector<Task> tasks = world.prepare(rng, traffic);
    for (int k = 1; k <= 5; ++k)
      EXPECT_EQ(rows_of_exchange(world, traffic, tasks), k < 3 ? 0 : 2 * rows * row) << row << ", " << k;
  }
}

/// A receiver that has kept the places of one list says so to a sender that uses another.
TEST_F(RepeatsTest, SendersChangeWhatTheySend) {
  World world(options_);
  const Traffic one = repeating_traffic(rng, world.ranks(), 1000, 128);
  Traffic other = repeating_traffic(rng, world.ranks(), 1000, 128);
  other.recv = one.recv;
  std::vector<Task> tasks = world.prepare(rng, one), others = world.prepare(rng, other);
  for (std::size_t rank = 0; rank < tasks.size(); ++rank) {
    others[rank].recv_layout = tasks[rank].recv_layout;  // one receiver's plan for both, if it sends the same
    others[rank].recv_base = tasks[rank].recv_base;
  }
  others[0].send_layout = tasks[0].send_layout;
  other.send[0] = one.send[0];
  others[0].send = tasks[0].send;
  others[0].send_base = tasks[0].send_base;
  for (int k = 0; k < 4; ++k) rows_of_exchange(world, one, tasks);
  EXPECT_GT(rows_of_exchange(world, one, tasks), 0);
  for (int k = 0; k < 8; ++k) {
    const bool first = rng.chance(50);
    rows_of_exchange(world, first ? one : other, first ? tasks : others);
  }
}

/// Exchanges of one plan that overlap: each uses what had been kept when it began.
TEST_F(RepeatsTest, SeveralInFlight) {
  World world(options_);
  const Traffic traffic = repeating_traffic(rng, world.ranks(), 1000, 128);
  std::vector<std::vector<Task>> all(6);
  all[0] = world.prepare(rng, traffic);
  for (std::size_t k = 0; k < all.size(); ++k) {
    if (k > 0) all[k] = all[0];
    world.refill(rng, traffic, all[k]);
    for (int rank = 0; rank < world.ranks(); ++rank) {
      world.start(rank, all[k][at(rank)]);
      world.step(rank);
    }
  }
  std::vector<std::vector<Task>*> lists;
  for (auto& tasks : all) lists.push_back(&tasks);
  ASSERT_TRUE(world.run(rng, lists)) << "hangs";
  for (const auto& tasks : all) expect_right(tasks);
}

struct FaultCase {
  const char* name;
  Faults faults;
  Code code;          ///< that the faulty rank or its peer reports
  bool both = false;  ///< whether the faulty rank itself must fail
};

/// A fault of one rank ends in an error on somebody, in time, and the engines go on working.
TEST_F(EngineTest, BrokenTransport) {
  const std::vector<FaultCase> cases = {
      {"lost announcement", {.lose_announcement = 1}, Code::timeout},
      {"lost chunk", {.lose_chunk = 2}, Code::timeout},
      {"failed announcement", {.fail_announcement = 1}, Code::peer, true},
      {"failed chunk", {.fail_chunk = 2}, Code::peer, true},
  };
  for (const FaultCase& c : cases)
    for (const int ranks : {2, 3, 5}) {
      WorldOptions options;
      options.ranks = ranks;
      options.faults = c.faults;
      options.faulty_rank = ranks - 1;
      options.timeout = 0.3;
      World world(options);
      std::vector<Task> tasks = world.prepare(rng, even_traffic(ranks, 30000));
      ASSERT_TRUE(world.run_one(rng, tasks)) << c.name << " hangs with " << ranks << " ranks";
      int failed = 0;
      bool reported = false;
      for (const Task& task : tasks) {
        failed += !task.result.ok();
        reported |= task.result.code() == c.code;
        if (task.result.ok()) {
          EXPECT_TRUE(task.recv == task.expected) << c.name << ": success with wrong bytes";
        }
        if (task.result.code() == Code::timeout) {
          EXPECT_NE(task.result.message().find("rank "), std::string::npos) << task.result.message();
        }
      }
      EXPECT_GT(failed, 0) << c.name;
      EXPECT_TRUE(reported) << c.name;
      EXPECT_TRUE(!c.both || !tasks.back().result.ok()) << c.name;
      for (int again = 0; again < 3; ++again) expect_works(world);
    }
}

TEST_F(EngineTest, DeadPeer) {
  for (const int ranks : {2, 3, 5}) {
    WorldOptions options;
    options.ranks = ranks;
    World world(options);
    expect_works(world);
    std::vector<Task> tasks = world.prepare(rng, even_traffic(ranks, 30000));
    const int dead = 0;
    for (int rank = 1; rank < ranks; ++rank) world.start(rank, tasks[at(rank)]);
    world.network().kill(dead);
    ASSERT_TRUE(world.run(rng, {&tasks})) << "hangs";
    for (int rank = 1; rank < ranks; ++rank) {
      EXPECT_EQ(tasks[at(rank)].result.code(), Code::peer) << tasks[at(rank)].result.message();
      EXPECT_NE(tasks[at(rank)].result.message().find("rank 0"), std::string::npos);
    }
  }
}

/// A rank that starts much later than its peers' patience.
TEST_F(EngineTest, LateRank) {
  WorldOptions options;
  options.ranks = 3;
  options.timeout = 0.3;
  World world(options);
  std::vector<Task> tasks = world.prepare(rng, even_traffic(3, 30000));
  world.start(0, tasks[0]);
  world.start(1, tasks[1]);
  ASSERT_TRUE(world.run(rng, {&tasks}));
  EXPECT_EQ(tasks[0].result.code(), Code::timeout);
  EXPECT_EQ(tasks[1].result.code(), Code::timeout);
  EXPECT_NE(tasks[0].result.message().find("rank 2"), std::string::npos) << tasks[0].result.message();
  world.start(2, tasks[2]);
  ASSERT_TRUE(world.run(rng, {&tasks})) << "the late rank hangs";
  for (int again = 0; again < 3; ++again) expect_works(world);
}

/// More peers than a rank has slots for chunks: in place, a chunk is only taken once as much was sent back,
/// so all slots may be held by peers that wait for others.
TEST_F(EngineTest, InPlaceWithFewSlots) {
  for (const int ranks : {3, 5, 8, 16})
    for (const std::size_t slots : {1, 2, 4, 6})
      for (int round = 0; round < 10; ++round) {
        WorldOptions options;
        options.ranks = ranks;
        options.loopback = {.chunk_limit = 100, .unread_chunks = 8, .slots = slots, .credit = false};
        World world(options);
        Traffic traffic = even_traffic(ranks, 3000);
        traffic.send = traffic.recv;
        std::vector<Task> tasks = world.prepare(rng, traffic, true);
        ASSERT_TRUE(world.run_one(rng, tasks, true))
            << "hangs with " << ranks << " ranks and " << slots << " slots";
        expect_right(tasks);
      }
}

/// Rank `from` sends to `to`, which expects nothing and so never reads the announcement. More such exchanges
/// than announcements can be unread, both ways, must not shut the pair for ever.
TEST_F(EngineTest, OneSidedExchangesPileUp) {
  WorldOptions options;
  options.timeout = 0.15;
  options.loopback.unread_announcements = 2;
  World world(options);
  for (int k = 0; k < 8; ++k) {
    const int from = k % 2;
    Traffic traffic = even_traffic(2, 0);
    traffic.send[at(from)][at(1 - from)] = {{0, 5000}};
    std::vector<Task> tasks = world.prepare(rng, traffic);
    ASSERT_TRUE(world.run_one(rng, tasks)) << "hangs";
    EXPECT_FALSE(tasks[at(from)].result.ok());
  }
  for (int again = 0; again < 3; ++again) expect_works(world);
}

class MismatchTest : public EngineTest {
 protected:
  /// Rank 2 sends rank 1 another number of bytes than that expects; it sends `standing` of them before it
  /// knows.
  void expect_mismatch(std::int64_t bytes, std::int64_t wrong, std::int64_t standing, bool at_once = false) {
    WorldOptions options;
    options.ranks = 3;
    options.timeout = 5;
    options.loopback.standing = standing;
    options.loopback.same_node = options.at_once = at_once;
    World world(options);
    Traffic traffic = even_traffic(3, bytes);
    traffic.send[2][1] = {{100000, wrong}};
    std::vector<Task> tasks = world.prepare(rng, traffic);
    ASSERT_TRUE(world.run_one(rng, tasks)) << "hangs";
    EXPECT_TRUE(tasks[0].result.ok()) << tasks[0].result.message();
    for (const int rank : {1, 2}) {
      const std::string& message = tasks[at(rank)].result.message();
      EXPECT_EQ(tasks[at(rank)].result.code(), Code::mismatch) << message;
      for (const std::string& word :
           {std::string("rank 1"), std::string("rank 2"), std::to_string(bytes), std::to_string(wrong)})
        EXPECT_NE(message.find(word), std::string::npos) << message;
    }
    expect_works(world);
    expect_contract(world);
  }
};

TEST_F(MismatchTest, IsReportedAndNothingIsLeftOver) {
  for (const std::int64_t bytes : {10, 20000})
    for (const std::int64_t difference : {-5, 7, 9000})
      for (const std::int64_t standing : {0, 3000, 50000})
        expect_mismatch(bytes, bytes + difference, standing);
}

TEST_F(MismatchTest, OfShortMessages) {
  for (int round = 0; round < 20; ++round)
    for (const std::int64_t difference : {-10, -5, 7, 9000}) expect_mismatch(10, 10 + difference, 0, true);
}

TEST_F(MismatchTest, WithItself) {
  for (const bool at_once : {false, true}) {
    WorldOptions options;
    options.loopback.same_node = options.at_once = at_once;
    World world(options);
    Traffic traffic = even_traffic(2, 10);
    traffic.recv[0][0] = {{100000, 7}};
    std::vector<Task> tasks = world.prepare(rng, traffic);
    ASSERT_TRUE(world.run_one(rng, tasks)) << "hangs";
    EXPECT_EQ(tasks[0].result.code(), Code::mismatch);
    EXPECT_TRUE(tasks[1].result.ok());
    expect_works(world);
  }
}

class AtOnceTest : public EngineTest {
 protected:
  AtOnceTest() {
    options_.ranks = 3;
    options_.loopback.same_node = options_.at_once = true;
  }
  WorldOptions options_;
};

/// Short messages inside a node: the last rank to come finds what it needs, the others wait as ever.
TEST_F(AtOnceTest, TheLastRankIsDoneWhenItStarts) {
  World world(options_);
  for (int k = 0; k < 5; ++k) {
    std::vector<Task> tasks = world.prepare(rng, even_traffic(3, 20));
    for (int rank = 0; rank < 3; ++rank) {
      world.start(rank, tasks[at(rank)]);
      EXPECT_EQ(tasks[at(rank)].exchange == nullptr, rank == 2);
    }
    ASSERT_TRUE(world.run(rng, {&tasks})) << "hangs";
    expect_right(tasks);
    for (const Task& task : tasks) {
      EXPECT_EQ(task.traffic.inlined, 40);
      EXPECT_EQ(task.traffic.self, 20);
    }
  }
  expect_contract(world);
}

/// While another exchange is under way, none goes before it.
TEST_F(AtOnceTest, NotBeforeEarlierOnes) {
  World world(options_);
  std::vector<Task> large = world.prepare(rng, even_traffic(3, 5000));
  std::vector<Task> small = world.prepare(rng, even_traffic(3, 20));
  for (const int rank : {2, 0, 1}) {
    world.start(rank, large[at(rank)]);
    world.start(rank, small[at(rank)]);
    EXPECT_NE(small[at(rank)].exchange, nullptr);
  }
  ASSERT_TRUE(world.run(rng, {&large, &small})) << "hangs";
  expect_right(large);
  expect_right(small);
  expect_contract(world);
}

/// What comes late, of an exchange that this rank has given up, is not taken for the next one.
TEST_F(AtOnceTest, NotFromEarlierOnes) {
  options_.ranks = 2;
  options_.timeout = 0.2;
  World world(options_);
  std::vector<Task> late = world.prepare(rng, even_traffic(2, 20)),
                    next = world.prepare(rng, even_traffic(2, 20));
  world.start(1, late[1]);
  ASSERT_TRUE(world.run(rng, {&late})) << "hangs";
  EXPECT_EQ(late[1].result.code(), Code::timeout);
  world.start(0, late[0]);
  for (const int rank : {1, 0}) world.start(rank, next[at(rank)]);
  ASSERT_TRUE(world.run(rng, {&late, &next})) << "hangs";
  expect_right(next);
}

/// Wherever a short exchange has got to when it must wait, it goes on from there.
TEST_F(AtOnceTest, GoesOnFromAnywhere) {
  for (const bool in_place : {false, true})
    for (int round = 0; round < 200; ++round) {
      options_.faults = {.seed = rng.bits(), .refuse = 40, .hide = 90};
      options_.ranks = static_cast<int>(rng.between(2, 6));
      World world(options_);
      for (int k = 0; k < 3; ++k) {
        std::vector<Task> tasks =
            world.prepare(rng, random_traffic(rng, options_.ranks, 64, in_place), in_place);
        ASSERT_TRUE(world.run_one(rng, tasks, in_place)) << "hangs";
        expect_right(tasks);
        for (const Task& task : tasks) {
          if (!in_place) {
            EXPECT_EQ(task.traffic.inlined + task.traffic.self, task.send_layout->bytes());
          }
        }
      }
      expect_contract(world);
    }
}

/// A rank in a thread of its own, waiting as blocking calls do.
TEST_F(EngineTest, Threads) {
  for (const int ranks : {2, 4}) {
    WorldOptions options = random_options(ranks);
    options.loopback.chunk_limit = 4096;
    World world(options);
    std::vector<std::vector<Task>> all;
    for (int k = 0; k < 20; ++k) all.push_back(world.prepare(rng, random_traffic(rng, ranks, 20000)));
    std::vector<std::thread> threads;
    for (int rank = 0; rank < ranks; ++rank)
      threads.emplace_back([&world, &all, rank] {
        for (auto& tasks : all) {
          Task& task = tasks[at(rank)];
          world.start(rank, task);
          if (task.exchange == nullptr) continue;
          world.engine(rank).lock().lock();
          world.engine(rank).wait(*task.exchange);
          world.engine(rank).lock().unlock();
          EXPECT_TRUE(world.collect(rank, task));
        }
      });
    for (std::thread& thread : threads) thread.join();
    for (const auto& tasks : all) expect_right(tasks);
    expect_contract(world);
  }
}

}  // namespace
}  // namespace mpix::test
