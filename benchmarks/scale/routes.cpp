// SPDX-License-Identifier: BSD-3-Clause
#include "benchmarks/scale/routes.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <span>

#include "plan/lanes.hpp"
#include "plan/node_send.hpp"
#include "plan/plan.hpp"

namespace mpix::bench {
namespace {

constexpr int kRepetitions = 7;

/// Median time of `work`, after a first one that does not count.
template <typename Work>
double median_seconds(Work&& work) {
  std::vector<double> seconds;
  for (int i = -1; i < kRepetitions; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    if (i >= 0) seconds.push_back(taken.count());
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

/// What a rank sends to one node: `send` lists it unless nothing can repeat.
struct NodeFlow {
  int node = 0;
  std::int64_t bytes = 0;
  std::vector<plan::LaneShare> shares;
  plan::NodeSend send;
};

struct NodePlan {
  std::vector<NodeFlow> flows;
  plan::NodeSendScratch scratch;

  std::int64_t memory() const {
    auto bytes = static_cast<std::int64_t>(flows.capacity() * sizeof(NodeFlow)) + scratch.memory();
    for (const NodeFlow& flow : flows)
      bytes += flow.send.memory() - static_cast<std::int64_t>(sizeof(plan::NodeSend)) +
               static_cast<std::int64_t>(flow.shares.capacity() * sizeof(plan::LaneShare));
    return bytes;
  }
};

/// The parts for each node, one node after the other: sorted by counting, so that any order of ranks will do.
std::vector<plan::NodePart> parts_by_node(const Layout& layout, const plan::NodeMap& map,
                                          std::vector<std::int64_t>& first) {
  first.assign(static_cast<std::size_t>(map.nodes()) + 1, 0);
  for (const PeerBlocks& part : layout.parts()) ++first[static_cast<std::size_t>(map.node_of(part.peer))];
  std::exclusive_scan(first.begin(), first.end(), first.begin(), std::int64_t{0});
  std::vector<plan::NodePart> parts(layout.parts().size());
  for (const PeerBlocks& part : layout.parts())
    parts[static_cast<std::size_t>(first[static_cast<std::size_t>(map.node_of(part.peer))]++)] = {
        map.local_of(part.peer), &part.blocks};
  // Each entry is now where its node's parts end: move them on by one node.
  std::rotate(first.begin(), first.end() - 1, first.end());
  first[0] = 0;
  return parts;
}

NodePlan plan_nodes(int rank, const Layout& layout, const plan::NodeMap& map, const Limits& limits) {
  NodePlan plan;
  std::vector<std::int64_t> first;
  const auto parts = parts_by_node(layout, map, first);
  const int own = map.node_of(rank);
  const plan::LaneSource source{rank, map.local_of(rank), static_cast<int>(map.ranks(own).size())};
  plan.flows.reserve(std::min(parts.size(), static_cast<std::size_t>(map.nodes())));
  for (int node = 0; node < map.nodes(); ++node) {
    const auto n = static_cast<std::size_t>(node);
    if (first[n] == first[n + 1] || node == own) continue;
    const auto mine = std::span(parts).subspan(static_cast<std::size_t>(first[n]),
                                               static_cast<std::size_t>(first[n + 1] - first[n]));
    NodeFlow& flow = plan.flows.emplace_back();
    flow.node = node;
    if (plan::may_repeat(mine)) {
      flow.send = plan::make_node_send(mine, plan.scratch);
      flow.bytes = flow.send.unique_bytes;
    } else {
      for (const plan::NodePart& part : mine) flow.bytes += part.blocks->bytes;
    }
    flow.shares = plan::lane_shares(source, node, static_cast<int>(map.ranks(node).size()), flow.bytes,
                                    limits.least_chunk);
  }
  return plan;
}

}  // namespace

Cost direct_cost(int rank, const Layout& layout, const plan::NodeMap& map, const Limits& limits) {
  const Layout nothing(layout.npeers(), {}, {});
  const Config config;
  Cost cost;
  cost.seconds =
      median_seconds([&] { cost.memory = plan::make_plan(rank, layout, nothing, false, config).memory(); });
  for (const PeerBlocks& part : layout.parts()) {
    if (map.node_of(part.peer) == map.node_of(rank)) continue;
    ++cost.endpoints;
    cost.messages += divide_up(part.blocks.bytes, limits.most_chunk);
    cost.wire_bytes += part.blocks.bytes;
  }
  return cost;
}

Cost node_cost(int rank, const Layout& layout, const plan::NodeMap& map, const Limits& limits) {
  Cost cost;
  cost.seconds = median_seconds([&] { static_cast<void>(plan_nodes(rank, layout, map, limits)); });
  const NodePlan plan = plan_nodes(rank, layout, map, limits);
  cost.memory = plan.memory() + map.memory();
  for (const NodeFlow& flow : plan.flows) {
    for (const plan::LaneShare& share : flow.shares)
      cost.messages += divide_up(share.end - share.begin, limits.most_chunk);
    cost.endpoints += static_cast<std::int64_t>(flow.shares.size());
    cost.wire_bytes += flow.bytes;
    cost.list_bytes += static_cast<std::int64_t>((flow.send.offsets.size() + flow.send.deliveries.size()) *
                                                 sizeof(plan::Delivery));
  }
  return cost;
}

Heaviest heaviest_nic(const Traffic& traffic, const ScaleCase& what, const Limits& limits) {
  const auto lanes = static_cast<int>(what.per_node);
  std::vector<double> direct(static_cast<std::size_t>(what.nodes() * limits.nics), 0), node = direct;
  const auto nic = [&](std::int64_t at, std::int64_t local) {
    return static_cast<std::size_t>(at * limits.nics + local * limits.nics / what.per_node);
  };
  traffic.visit_flows([&](const Flow& flow) {
    for (std::int64_t local = 0; local < what.per_node; ++local)
      direct[nic(flow.node, local)] += static_cast<double>(flow.to[static_cast<std::size_t>(local)]);
    if (flow.unique == 0) return;
    const plan::LaneSource source{static_cast<int>(flow.source),
                                  static_cast<int>(flow.source % what.per_node), lanes};
    for (const plan::LaneShare& share :
         plan::lane_shares(source, static_cast<int>(flow.node), lanes, flow.unique, limits.least_chunk))
      node[nic(flow.node, share.lane)] += static_cast<double>(share.end - share.begin);
  });
  const auto ratio = [&](const std::vector<double>& loads) {
    double most = 0, sum = 0;
    for (const std::int64_t n : traffic.nodes()) {
      for (std::int64_t i = 0; i < limits.nics; ++i) {
        const double load = loads[static_cast<std::size_t>(n * limits.nics + i)];
        most = std::max(most, load);
        sum += load;
      }
    }
    return sum > 0
               ? most * static_cast<double>(traffic.nodes().size()) * static_cast<double>(limits.nics) / sum
               : 1;
  };
  return {ratio(direct), ratio(node)};
}

}  // namespace mpix::bench
