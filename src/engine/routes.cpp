// SPDX-License-Identifier: BSD-3-Clause
// Which nodes an exchange reaches through forwarders, and what is read once inside the own node.
#include <algorithm>

#include "engine/engine.hpp"
#include "engine/relay.hpp"
#include "plan/lanes.hpp"

namespace mpix::engine {
namespace {

/// Bytes that have to be saved for a node. Of those, and of the other ranks', for which less is saved, all or
/// none are better forwarded to (as far as kLeastForwarded allows): where some are, that costs the messages
/// of both routes.
constexpr std::int64_t kLeastGain = 40 << 10;
constexpr std::int64_t kLeastGainShare = 5;  // of the unique bytes: one fifth
/// Shorter lanes are joined.
constexpr std::int64_t kShortestLane = 64 << 10;

/// The plan's pairs with the ranks of one other node.
struct NodePairs {
  int node = 0;
  std::vector<std::size_t> pairs;  // in the plan, by ascending peer
};

/// Node by node, beginning after the own one, so that not all nodes send to the same one first.
std::vector<NodePairs> pairs_by_node(const plan::Plan& plan, const plan::NodeMap& nodes, int own) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < plan.pairs.size(); ++i)
    if (nodes.node_of(plan.pairs[i].peer) != own) found.push_back(i);
  const auto place = [&](std::size_t i) {
    const int node = nodes.node_of(plan.pairs[i].peer);
    return std::pair(node < own ? node + nodes.nodes() : node, plan.pairs[i].peer);
  };
  std::sort(found.begin(), found.end(), [&](std::size_t a, std::size_t b) { return place(a) < place(b); });
  std::vector<NodePairs> by_node;
  for (const std::size_t pair : found) {
    const int node = nodes.node_of(plan.pairs[pair].peer);
    if (by_node.empty() || by_node.back().node != node) by_node.push_back({node, {}});
    by_node.back().pairs.push_back(pair);
  }
  return by_node;
}

/// What is sent to the ranks of a node, for plan::make_node_send.
std::vector<plan::NodePart> parts_of(const plan::Plan& plan, const NodePairs& to,
                                     const plan::NodeMap& nodes) {
  std::vector<plan::NodePart> parts;
  for (const std::size_t i : to.pairs)
    if (const plan::Pair& pair = plan.pairs[i]; pair.send != nullptr)
      parts.push_back({nodes.local_of(pair.peer), pair.send});
  return parts;
}

bool deliverable(const plan::NodeSend& send) noexcept {
  for (std::size_t range = 0; range + 1 < send.first.size(); ++range)
    if (send.first[range + 1] - send.first[range] > kMostDeliveries) return false;
  return true;
}

std::int64_t gain_of(const plan::NodeSend& send) noexcept {
  return send.total_bytes - send.unique_bytes;
}

/// `least`: to be saved, in bytes.
bool worthwhile(const plan::NodeSend& send, Route route, std::int64_t least) noexcept {
  if (route == Route::forward) return !send.lengths.empty();
  return gain_of(send) >= least && gain_of(send) * kLeastGainShare >= send.unique_bytes;
}

/// Of a sample of short runs: below this the trouble of listing all is not taken.
constexpr double kLeastRepetition = 1.1;
/// Where runs are shorter, lists of the places that they go to cost more than is saved, unless they are kept.
constexpr std::int64_t kShortestListed = 384;

/// Bytes that have to be saved where equal bytes are sent once inside a node.
constexpr std::int64_t kLeastRepeated = 32 << 10;

/// What a rank sends to one of its node, equal bytes once; null where that does not pay.
std::unique_ptr<Repeats> repeats_of(const kernels::Blocks& blocks) {
  const plan::NodePart part{0, &blocks};
  if (!plan::may_repeat({&part, 1})) return nullptr;
  auto found = std::make_unique<Repeats>();
  found->send = plan::make_node_send({&part, 1});
  if (!worthwhile(found->send, Route::automatic, kLeastRepeated) || !deliverable(found->send)) return nullptr;
  return found;
}

/// A packet for a node saves a message for each of its ranks and costs handing each of them its part. Seen
/// over TCP to pay from 8 ranks and up to 512 bytes for each; with fewer or longer messages direct is as
/// good.
constexpr std::int64_t kMostAggregated = 512;

/// Whether one message for all ranks of a node costs less than one for each.
bool aggregates(const plan::Plan& plan, const NodePairs& to, const Config& config) noexcept {
  if (config.route != Route::automatic) return config.route == Route::aggregate;
  if (plan.in_place || to.pairs.size() < kFewestAggregated) return false;
  std::int64_t bytes = 0;
  for (const std::size_t i : to.pairs)
    if (plan.pairs[i].send != nullptr) bytes += plan.pairs[i].send->bytes;
  return bytes <= kMostAggregated * static_cast<std::int64_t>(to.pairs.size());
}

std::vector<PacketDest> introductions_to(const plan::Plan& plan, const NodePairs& to,
                                         const plan::NodeMap& nodes) {
  std::vector<PacketDest> made;
  for (const std::size_t i : to.pairs) {
    const plan::Pair& pair = plan.pairs[i];
    PacketDest dest;
    dest.local = nodes.local_of(pair.peer);
    dest.introduces = true;
    dest.send_bytes = pair.send != nullptr ? pair.send->bytes : 0;
    dest.recv_bytes = pair.recv != nullptr ? pair.recv->bytes : 0;
    made.push_back(dest);
  }
  return made;
}

/// Most that one packet with everything takes.
std::size_t packet_bytes(const NodeRoute& route) noexcept {
  return sizeof(PacketHeader) + kUnitBytes + kPacketAlignment +
         route.introductions.size() * (kMostDestBytes + kMostIntroductionBytes) +
         route.send.deliveries.size() * kMostEntryBytes + static_cast<std::size_t>(route.send.unique_bytes);
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
    lane.bytes = std::min(share.end - share.begin, send.unique_bytes);
    advance(send, at, lane.bytes);
    lanes.push_back(std::move(lane));
  }
  return lanes;
}

/// Bytes of lists that a rank would keep if all others sent to it.
constexpr std::int64_t kMostKeptLists = 128 << 20;

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

void Engine::add_routes(BoundPlan& bound, bool others_forward) {
  if (bound.config.route == Route::direct) return;
  const plan::NodeMap& nodes = relay_->nodes();
  bound.route_of.assign(bound.plan.pairs.size(), -1);
  std::vector<std::pair<NodePairs, NodeRoute>> found;
  for (const NodePairs& to : pairs_by_node(bound.plan, nodes, relay_->node())) {
    NodeRoute route;
    route.node = to.node;
    route.local_ranks = nodes.ranks(to.node).size();
    const std::vector<plan::NodePart> parts = parts_of(bound.plan, to, nodes);
    route.aggregated = aggregates(bound.plan, to, bound.config);
    if (bound.config.route == Route::automatic && !route.aggregated && !plan::may_repeat(parts)) continue;
    if (!parts.empty()) {
      bound.plan.send_layout->list_on_host();
      route.send = plan::make_node_send(parts);
    }
    if (!deliverable(route.send)) continue;
    if (!route.aggregated && !worthwhile(route.send, bound.config.route, kLeastForwarded)) continue;
    found.push_back({to, std::move(route)});
  }
  bound.forwarding_pays = std::any_of(found.begin(), found.end(), [&](const auto& each) {
    const NodeRoute& route = each.second;
    return !route.aggregated && worthwhile(route.send, bound.config.route, kLeastGain);
  });
  for (auto& [to, route] : found) {
    if (!route.aggregated && !bound.forwarding_pays && !others_forward) {
      bound.held_back = true;
      continue;
    }
    route.introductions = introductions_to(bound.plan, to, nodes);
    add_lanes(route, bound.config);
    for (const std::size_t i : to.pairs) bound.route_of[i] = static_cast<int>(bound.routes.size());
    bound.routes.push_back(std::move(route));
  }
  for (NodeRoute& route : bound.routes)
    if (!route.helper_targets.empty())
      route.most_errands = (route.helper_targets.size() - 1) *
                           std::max(memory::Board::kErrands / bound.routes.size(), std::size_t{1});
}

/// By which ranks of the node the route goes, and who helps.
void Engine::add_lanes(NodeRoute& route, const Config& config) {
  const plan::NodeMap& nodes = relay_->nodes();
  const auto own_ranks = static_cast<int>(nodes.ranks(relay_->node()).size());
  const plan::LaneSource source{context_.rank, nodes.local_of(context_.rank), own_ranks};
  const std::int64_t bytes = route.send.unique_bytes;
  const auto shares =
      plan::lane_shares(source, route.node, static_cast<int>(route.local_ranks),
                        std::max(bytes, std::int64_t{1}), route.aggregated ? bytes + 1 : kShortestLane);
  const std::int64_t kept_lists = std::min(config.kept_lists, kMostKeptLists / nodes.nranks());
  route.lanes = make_lanes(route.send, shares, nodes.ranks(route.node));
  for (NodeRoute::Lane& lane : route.lanes) {
    lane.channel = &relay_->network_channel(lane.rank);
    lane.turns = &relay_->turns(lane.rank);
    lane.list = relay_->sent_list(lane.rank, kept_lists);
    lane.whole_list = relay_->sent_whole_list(lane.rank, kept_lists);
  }
  if (route.aggregated) {
    route.fits = packet_bytes(route) <= route.lanes.front().channel->inline_limit();
    return;
  }
  const bool helpers =
      config.helpers == Choice::on || (config.helpers == Choice::automatic && relay_->devices_differ());
  const std::int64_t least_helped = config.helpers == Choice::on ? kShortestLane : kLeastHelped;
  if (helpers && own_ranks > 1 && bytes >= least_helped)
    route.helper_targets = find_helper_targets(own_ranks, nodes.ranks(route.node));
}

/// Of an aggregated route the bytes do not tell whether it has come, and nobody knows beforehand who helps
/// with how many.
std::vector<std::int64_t> Engine::passing_through(const BoundPlan& bound) const {
  if (relay_ == nullptr) return {};
  std::vector<std::int64_t> through(static_cast<std::size_t>(relay_->nodes().nranks()));
  const auto add = [&](int rank, std::int64_t bytes) {
    std::int64_t& sum = through[static_cast<std::size_t>(rank)];
    sum = add_passing(sum, bytes);
  };
  for (const NodeRoute& route : bound.routes) {
    const bool known = !route.aggregated && route.helper_targets.empty();
    for (const NodeRoute::Lane& lane : route.lanes) add(lane.rank, known ? lane.bytes : kUnknownPassing);
    for (const int rank : route.helper_targets) add(rank, kUnknownPassing);
    if (!route.helper_targets.empty())
      for (const int rank : relay_->nodes().ranks(relay_->node())) add(rank, kUnknownPassing);
  }
  return through;
}

/// For Relay::tell_expected. What the ranks of a node get at most from any one rank, added up, bounds what
/// any rank sends to the node. Who may leave errands needs the others, and so do those for whom packets come
/// anyhow.
std::uint32_t Engine::most_from_one(const BoundPlan& bound) const {
  const plan::NodeMap& nodes = relay_->nodes();
  const auto has_helpers = [](const NodeRoute& route) { return !route.helper_targets.empty(); };
  if (relay_->forced() || nodes.ranks(relay_->node()).size() >= kFewestAggregated ||
      std::any_of(bound.routes.begin(), bound.routes.end(), has_helpers))
    return kNeedsNode;
  std::int64_t most = 0;
  for (const plan::Pair& pair : bound.plan.pairs)
    if (pair.recv != nullptr && nodes.node_of(pair.peer) != relay_->node())
      most = std::max(most, pair.recv->bytes);
  return static_cast<std::uint32_t>(std::min<std::int64_t>(most, kNeedsNode));
}

/// Of long runs at once, of short ones only if the plan is executed again: the peer may keep their places
/// then.
void Engine::find_repeats(const BoundPlan& bound, bool is_short) const {
  if (bound.plan.in_place || !bound.plan.send_layout->listed_on_host()) return;  // GPUs have no use for it
  for (std::size_t i = 0; i < bound.links.size(); ++i) {
    const transport::Channel& channel = *bound.links[i]->channel;
    const kernels::Blocks* const blocks = bound.plan.pairs[i].send;
    if (!channel.same_node() || channel.chunk_limit() < kMinPacketRoom) continue;
    if (blocks == nullptr || blocks->bytes < kLeastRepeats) continue;
    const std::int64_t run = blocks->bytes / blocks->nruns;
    if (run < kShortestKept || (run < kShortestListed) != is_short) continue;
    if (is_short && plan::sampled_repetition(*blocks) < kLeastRepetition) continue;
    std::unique_ptr<Repeats> repeats = repeats_of(*blocks);
    if (repeats == nullptr) continue;
    repeats->lists_pay = !is_short;
    bound.repeats.resize(bound.links.size());
    bound.repeats[i] = std::move(repeats);
  }
}

void Engine::add_repeats(const BoundPlan& bound, bool is_short) const noexcept {
  try {
    find_repeats(bound, is_short);
  } catch (const std::exception& error) {  // exchanges do without
    log::debug("rows that repeat are not found: ", error.what());
  }
}

}  // namespace mpix::engine
