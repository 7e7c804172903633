// SPDX-License-Identifier: BSD-3-Clause
// Which nodes an exchange reaches through forwarders, and what is read once inside the own node.
#include <algorithm>

#include "engine/engine.hpp"
#include "engine/relay.hpp"
#include "plan/lanes.hpp"

namespace mpix::engine {
namespace {

/// Less to gain is not worth handing rows on inside the receiving node.
constexpr std::int64_t kLeastGain = 32 << 10;
constexpr std::int64_t kLeastGainShare = 5;  // of the unique bytes: one fifth
/// Shorter lanes are joined.
constexpr std::int64_t kShortestLane = 64 << 10;

/// Indices of the plan's pairs that send to other nodes, node by node, beginning after the own one, so that
/// not all nodes send to the same one first.
std::vector<std::size_t> senders_by_node(const plan::Plan& plan, const plan::NodeMap& nodes, int own) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < plan.pairs.size(); ++i)
    if (plan.pairs[i].send != nullptr && nodes.node_of(plan.pairs[i].peer) != own) found.push_back(i);
  const auto place = [&](std::size_t i) {
    const int node = nodes.node_of(plan.pairs[i].peer);
    return std::pair(node < own ? node + nodes.nodes() : node, plan.pairs[i].peer);
  };
  std::sort(found.begin(), found.end(), [&](std::size_t a, std::size_t b) { return place(a) < place(b); });
  return found;
}

bool deliverable(const plan::NodeSend& send) noexcept {
  for (std::size_t range = 0; range + 1 < send.first.size(); ++range)
    if (send.first[range + 1] - send.first[range] > kMostDeliveries) return false;
  return true;
}

bool worthwhile(const plan::NodeSend& send, Route route) noexcept {
  if (route == Route::forward) return true;
  const std::int64_t gain = send.total_bytes - send.unique_bytes;
  return gain >= kLeastGain && gain * kLeastGainShare >= send.unique_bytes;
}

/// Where runs are shorter, lists of the places that they go to cost more than is saved.
constexpr std::int64_t kShortestRepeat = 2048;
constexpr std::int64_t kLeastRepeats = 64 << 10;

/// What a rank sends to one of its node, equal bytes once; null where that does not pay.
std::unique_ptr<const plan::NodeSend> find_repeats(const kernels::Blocks* blocks) {
  if (blocks == nullptr || blocks->bytes < kLeastRepeats || blocks->bytes / blocks->nruns < kShortestRepeat)
    return nullptr;
  const plan::NodePart part{0, blocks};
  if (!plan::may_repeat({&part, 1})) return nullptr;
  auto send = std::make_unique<plan::NodeSend>(plan::make_node_send({&part, 1}));
  if (!worthwhile(*send, Route::automatic) || !deliverable(*send)) return nullptr;
  return send;
}

/// Cuts the unique bytes into what goes through each of the node's ranks.
std::vector<NodeRoute::Lane> make_lanes(const plan::NodeSend& send, std::span<const plan::LaneShare> shares,
                                        std::span<const int> ranks) {
  std::vector<NodeRoute::Lane> lanes;
  UniqueCursor at;
  for (const plan::LaneShare& share : shares) {
    NodeRoute::Lane lane;
    lane.rank = ranks[static_cast<std::size_t>(share.lane)];
    lane.start = at;
    lane.bytes = share.end - share.begin;
    lanes.push_back(lane);
    advance(send, at, lane.bytes);
  }
  return lanes;
}

/// Less is not worth leaving parts of it to others.
constexpr std::int64_t kLeastHelped = 512 << 10;

/// See NodeRoute::helper_targets.
std::vector<int> find_helper_targets(int ranks, std::span<const int> targets) {
  std::vector<int> found;
  for (int local = 0; local < ranks; ++local)
    found.push_back(targets[static_cast<std::size_t>(
        plan::opposite_lane(local, ranks, static_cast<int>(targets.size())))]);
  return found;
}

}  // namespace

void Engine::add_routes(BoundPlan& bound) {
  if (bound.config.route == Route::direct) return;
  const plan::NodeMap& nodes = relay_->nodes();
  const bool helpers = bound.config.helpers == Choice::on ||
                       (bound.config.helpers == Choice::automatic && relay_->devices_differ());
  const std::int64_t least_helped = bound.config.helpers == Choice::on ? kShortestLane : kLeastHelped;
  const std::vector<std::size_t> senders = senders_by_node(bound.plan, nodes, relay_->node());
  bound.route_of.assign(bound.plan.pairs.size(), -1);
  for (std::size_t begin = 0, end = 0; begin < senders.size(); begin = end) {
    const int node = nodes.node_of(bound.plan.pairs[senders[begin]].peer);
    std::vector<plan::NodePart> parts;
    for (end = begin; end < senders.size() && nodes.node_of(bound.plan.pairs[senders[end]].peer) == node;
         ++end) {
      const plan::Pair& pair = bound.plan.pairs[senders[end]];
      parts.push_back({nodes.local_of(pair.peer), pair.send});
    }
    if (bound.config.route != Route::forward && !plan::may_repeat(parts)) continue;
    NodeRoute route;
    route.send = plan::make_node_send(parts);
    if (!worthwhile(route.send, bound.config.route) || !deliverable(route.send)) continue;
    route.node = node;
    route.local_ranks = nodes.ranks(node).size();
    for (std::size_t i = begin; i < end; ++i)
      bound.route_of[senders[i]] = static_cast<int>(bound.routes.size());
    const auto own_ranks = static_cast<int>(nodes.ranks(relay_->node()).size());
    const plan::LaneSource source{context_.rank, nodes.local_of(context_.rank), own_ranks};
    const auto shares = plan::lane_shares(source, node, static_cast<int>(route.local_ranks),
                                          route.send.unique_bytes, kShortestLane);
    route.lanes = make_lanes(route.send, shares, nodes.ranks(node));
    for (NodeRoute::Lane& lane : route.lanes) {
      lane.channel = &relay_->network_channel(lane.rank);
      lane.turns = &relay_->turns(lane.rank);
    }
    if (helpers && own_ranks > 1 && route.send.unique_bytes >= least_helped)
      route.helper_targets = find_helper_targets(own_ranks, nodes.ranks(node));
    bound.routes.push_back(std::move(route));
  }
  for (NodeRoute& route : bound.routes)
    if (!route.helper_targets.empty())
      route.most_errands = (route.helper_targets.size() - 1) *
                           std::max(memory::Board::kErrands / bound.routes.size(), std::size_t{1});
}

void Engine::add_repeats(BoundPlan& bound) const {
  bound.self_repeats = find_repeats(bound.plan.self.send);
  for (std::size_t i = 0; i < bound.links.size(); ++i) {
    const transport::Channel& channel = *bound.links[i]->channel;
    if (!channel.same_node() || channel.chunk_limit() < kMinPacketRoom) continue;
    std::unique_ptr<const plan::NodeSend> repeats = find_repeats(bound.plan.pairs[i].send);
    if (repeats == nullptr) continue;
    bound.repeats.resize(bound.links.size());
    bound.repeats[i] = std::move(repeats);
  }
}

}  // namespace mpix::engine
