// SPDX-License-Identifier: BSD-3-Clause
#include "tests/engine/engine_world.hpp"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <numeric>

#include "layout/build.hpp"

namespace mpix::test {
namespace {

constexpr int kGpus = 2;

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

/// Cuts `bytes` into pieces whose places are taken from `next` on, with gaps.
ByteMap random_map(Rng& rng, std::int64_t bytes, std::int64_t& next) {
  ByteMap map;
  while (bytes > 0) {
    const std::int64_t length = rng.between(1, rng.chance(50) ? bytes : std::min<std::int64_t>(bytes, 100));
    next += rng.between(0, 9);
    map.push_back({next, length});
    next += length;
    bytes -= length;
  }
  if (rng.chance(30)) std::reverse(map.begin(), map.end());
  return map;
}

LayoutRef layout_of(const std::vector<ByteMap>& maps) {
  std::vector<MPI_Count> counts, lengths;
  std::vector<MPI_Aint> displs;
  for (const ByteMap& map : maps) {
    counts.push_back(static_cast<MPI_Count>(map.size()));
    for (const Segment& s : map) {
      lengths.push_back(s.length);
      displs.push_back(s.offset);
    }
  }
  return build_hindexed(static_cast<int>(maps.size()), counts.data(), lengths.data(), displs.data());
}

std::vector<std::byte> buffer_for(const std::vector<ByteMap>& maps, std::int64_t& base) {
  const Range range = range_of(maps);
  base = 32 - range.low;
  return std::vector<std::byte>(static_cast<std::size_t>(range.high - range.low) + 64);
}

void fill(Rng& rng, std::vector<std::byte>& buffer) {
  for (std::byte& b : buffer) b = static_cast<std::byte>(rng.bits());
}

engine::Surroundings surroundings(FaultyTransport& transport, const WorldOptions& options) {
  engine::Surroundings result;
  result.route = [&transport](int) -> transport::Transport& { return transport; };
  if (!options.at_once) result.progressing = {&transport};
  return result;
}

}  // namespace

Traffic random_traffic(Rng& rng, int ranks, std::int64_t most, bool symmetric) {
  std::vector<std::vector<std::int64_t>> bytes(at(ranks), std::vector<std::int64_t>(at(ranks)));
  for (int i = 0; i < ranks; ++i)
    for (int j = 0; j < ranks; ++j)
      bytes[at(i)][at(j)] = symmetric && j < i ? bytes[at(j)][at(i)]
                            : rng.chance(80)   ? rng.magnitude(most)
                                               : 0;
  Traffic traffic;
  traffic.send.resize(at(ranks));
  traffic.recv.resize(at(ranks));
  for (int i = 0; i < ranks; ++i) {
    std::int64_t send_next = rng.between(-100, 100), recv_next = rng.between(-100, 100);
    for (int j = 0; j < ranks; ++j) {
      traffic.send[at(i)].push_back(random_map(rng, bytes[at(i)][at(j)], send_next));
      traffic.recv[at(i)].push_back(random_map(rng, bytes[at(j)][at(i)], recv_next));
    }
  }
  if (symmetric) traffic.send = traffic.recv;
  return traffic;
}

Traffic repeating_traffic(Rng& rng, int ranks, std::int64_t rows, std::int64_t row) {
  Traffic traffic;
  traffic.send.resize(at(ranks));
  traffic.recv.resize(at(ranks));
  for (int i = 0; i < ranks; ++i) {
    std::vector<std::int64_t> places(static_cast<std::size_t>(rows * ranks));
    std::iota(places.begin(), places.end(), 0);
    rng.shuffle(places);
    for (int j = 0; j < ranks; ++j) {
      ByteMap &send = traffic.send[at(i)].emplace_back(), &recv = traffic.recv[at(i)].emplace_back();
      for (std::int64_t k = 0; k < rows; ++k) {
        send.push_back({rng.between(0, rows / 3) * row, row});
        const std::int64_t place = places[static_cast<std::size_t>(j * rows + k)] * (row + 8);
        const std::int64_t first = rng.chance(5) ? rng.between(1, row) : row;
        recv.push_back({place, first});
        if (first < row) recv.push_back({place + first + 3, row - first});
      }
    }
  }
  return traffic;
}

World::World(const WorldOptions& options) : options_(options), network_(options.ranks, options.loopback) {
  Config config;
  config.timeout = options.timeout;
  config.spin = options.at_once ? 10 : 0;
  for (int rank = 0; rank < options.ranks; ++rank) {
    Faults faults = options.faults;
    faults.seed = mix(faults.seed, static_cast<std::uint64_t>(rank));
    if (options.faulty_rank >= 0 && options.faulty_rank != rank)
      faults.lose_announcement = faults.lose_chunk = faults.fail_announcement = faults.fail_chunk =
          faults.fail_progress = 0;
    transports_.push_back(std::make_unique<FaultyTransport>(network_.transport(rank), faults));
    engine::Context context;
    context.rank = rank;
    context.kernels = kernels::host_kernels("auto");
    context.gpus = options.gpus;
    engines_.push_back(
        std::make_unique<engine::Engine>(context, config, surroundings(*transports_.back(), options)));
  }
}

std::vector<Task> World::prepare(Rng& rng, const Traffic& traffic, bool in_place) const {
  std::vector<Task> tasks(at(ranks()));
  for (int rank = 0; rank < ranks(); ++rank) {
    Task& task = tasks[at(rank)];
    task.recv_layout = layout_of(traffic.recv[at(rank)]);
    task.send_layout = in_place ? task.recv_layout : layout_of(traffic.send[at(rank)]);
    task.send = buffer_for(traffic.send[at(rank)], task.send_base);
    task.recv = buffer_for(traffic.recv[at(rank)], task.recv_base);
    task.send_on_gpu = rng.chance(options_.gpu_share);
    task.recv_on_gpu = rng.chance(options_.gpu_share);
  }
  refill(rng, traffic, tasks, in_place);
  return tasks;
}

void World::refill(Rng& rng, const Traffic& traffic, std::vector<Task>& tasks, bool in_place) const {
  std::vector<std::vector<std::vector<std::byte>>> packed(at(ranks()));
  for (int rank = 0; rank < ranks(); ++rank) {
    Task& task = tasks[at(rank)];
    fill(rng, task.send);
    fill(rng, task.recv);
    task.expected = task.recv;
    for (const ByteMap& map : traffic.send[at(rank)])
      pack(in_place ? task.recv.data() + task.recv_base : task.send.data() + task.send_base, map,
           packed[at(rank)].emplace_back());
  }
  for (int to = 0; to < ranks(); ++to)
    for (int from = 0; from < ranks(); ++from) {
      const ByteMap& map = traffic.recv[at(to)][at(from)];
      const std::vector<std::byte>& bytes = packed[at(from)][at(to)];
      if (static_cast<std::int64_t>(bytes.size()) == total(map))
        unpack(tasks[at(to)].expected.data() + tasks[at(to)].recv_base, map, bytes);
    }
}

void World::start(int rank, Task& task, bool in_place, const engine::Order& order) {
  if (task.send_on_gpu) options_.gpus->adopt(rank % kGpus, task.send);
  if (task.recv_on_gpu) options_.gpus->adopt(rank % kGpus, task.recv);
  engine::Engine& e = engine(rank);
  const std::lock_guard guard(e.lock());
  const auto& bound = e.bind(*task.send_layout, *task.recv_layout, in_place);
  const std::byte* const send = task.send.data() + task.send_base;
  std::byte* const recv = task.recv.data() + task.recv_base;
  if (!order && e.exchange_at_once(*bound, send, recv, task.traffic)) {
    give_back(task);
    return;
  }
  task.exchange = e.start(bound, {task.send_layout, task.recv_layout}, send, recv, order);
}

/// The buffers from the GPUs.
void World::give_back(Task& task) {
  if (task.recv_on_gpu) options_.gpus->give_back(task.recv);
  if (task.send_on_gpu) options_.gpus->give_back(task.send);
}

void World::step(int rank) {
  engine::Engine& e = engine(rank);
  const std::lock_guard guard(e.lock());
  if (!e.progress()) e.check_stalled();
}

bool World::collect(int rank, Task& task) {
  if (task.exchange == nullptr) return true;
  engine::Engine& e = engine(rank);
  const std::lock_guard guard(e.lock());
  if (!task.exchange->done()) return false;
  task.result = task.exchange->error();
  task.traffic = e.traffic_of(*task.exchange);
  give_back(task);
  e.finish(task.exchange);
  task.exchange = nullptr;
  return true;
}

bool World::run(Rng& rng, std::vector<std::vector<Task>*> tasks) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point limit = Clock::now() + std::chrono::seconds(30);
  std::vector<int> order(at(ranks()));
  std::iota(order.begin(), order.end(), 0);
  while (Clock::now() < limit) {
    rng.shuffle(order);
    bool all = true;
    for (const int rank : order) {
      for (int passes = static_cast<int>(rng.between(0, 3)); passes > 0; --passes) step(rank);
      for (std::vector<Task>* const list : tasks) all &= collect(rank, (*list)[at(rank)]);
    }
    if (all) return true;
  }
  return false;
}

bool World::run_one(Rng& rng, std::vector<Task>& tasks, bool in_place) {
  std::vector<int> order(at(ranks()));
  std::iota(order.begin(), order.end(), 0);
  rng.shuffle(order);
  for (const int rank : order) {
    start(rank, tasks[at(rank)], in_place);
    for (int passes = static_cast<int>(rng.between(0, 5)); passes > 0; --passes) step(rank);
  }
  return run(rng, {&tasks});
}

}  // namespace mpix::test
