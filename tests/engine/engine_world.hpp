// SPDX-License-Identifier: BSD-3-Clause
/// All ranks of a communicator in one process: an engine each, over a loopback transport that may be faulty.
#pragma once

#include <memory>
#include <vector>

#include "engine/engine.hpp"
#include "tests/support/byte_map.hpp"
#include "tests/support/fake_gpus.hpp"
#include "tests/support/faulty.hpp"
#include "tests/support/loopback.hpp"

namespace mpix::test {

struct WorldOptions {
  int ranks = 2;
  LoopbackOptions loopback;
  Faults faults;         ///< of every rank, each with a seed of its own
  int faulty_rank = -1;  ///< the only one that has faults beyond the contract; -1 for all
  double timeout = 60;
  bool at_once = false;      ///< exchanges of one node may be over when they start
  FakeGpus* gpus = nullptr;  ///< of all ranks; null for none
  int gpu_share = 0;         ///< times out of a hundred that a buffer is a GPU's
};

/// Byte maps of one exchange: maps[rank][peer].
struct Traffic {
  std::vector<std::vector<ByteMap>> send, recv;
};

/// Random traffic of up to `most` bytes a pair, in pieces of any size; `symmetric` for exchanges in place.
Traffic random_traffic(Rng& rng, int ranks, std::int64_t most, bool symmetric = false);

/// Traffic in rows of `row` bytes, of which a rank sends `rows` to each, many of them several times.
Traffic repeating_traffic(Rng& rng, int ranks, std::int64_t rows, std::int64_t row);

/// One exchange of one rank.
struct Task {
  std::vector<std::byte> send, recv, expected;
  LayoutRef send_layout, recv_layout;
  engine::Exchange* exchange = nullptr;  ///< null before its start and after its end, which may be the same
  Status result;
  std::int64_t send_base = 0, recv_base = 0;      ///< of the layouts' offset 0 in the buffers
  bool send_on_gpu = false, recv_on_gpu = false;  ///< while the exchange runs
  engine::Traffic traffic;                        ///< of the exchange, once it has ended
};

class World {
 public:
  explicit World(const WorldOptions& options);

  int ranks() const { return options_.ranks; }
  engine::Engine& engine(int rank) { return *engines_[static_cast<std::size_t>(rank)]; }
  Loopback& network() { return network_; }

  /// Buffers, layouts and expectation of every rank.
  std::vector<Task> prepare(Rng& rng, const Traffic& traffic, bool in_place = false) const;
  /// New contents of the buffers, and what must come of them, for the layouts that the tasks have.
  void refill(Rng& rng, const Traffic& traffic, std::vector<Task>& tasks, bool in_place = false) const;
  void start(int rank, Task& task, bool in_place = false, const engine::Order& order = {});
  /// Steps all ranks, in random order, until all of `tasks` are done. Returns false when that takes too long.
  bool run(Rng& rng, std::vector<std::vector<Task>*> tasks);
  /// As run() for one exchange of all ranks, started in random order.
  bool run_one(Rng& rng, std::vector<Task>& tasks, bool in_place = false);
  /// One pass of one rank.
  void step(int rank);
  /// Takes the result of a task that is done; whether it is.
  bool collect(int rank, Task& task);

 private:
  void give_back(Task& task);

  WorldOptions options_;
  Loopback network_;
  std::vector<std::unique_ptr<FaultyTransport>> transports_;
  std::vector<std::unique_ptr<engine::Engine>> engines_;
};

}  // namespace mpix::test
