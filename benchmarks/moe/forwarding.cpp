// SPDX-License-Identifier: BSD-3-Clause
#include "benchmarks/moe/forwarding.hpp"

namespace mpix::bench {
namespace {

bool needed_on(const Routing& routing, const Nodes& nodes, int node, int origin, std::int64_t token) {
  bool found = false;
  routing.for_each_expert(origin, token, [&](int home, std::int64_t) { found |= nodes.node(home) == node; });
  return found;
}

}  // namespace

int forwarder_of(const Nodes& nodes, int origin, int node) {
  const auto& ranks = nodes.on(node);
  return ranks[static_cast<std::size_t>(nodes.local(origin)) % ranks.size()];
}

std::vector<Piece> pieces_of(const Routing& routing, const Nodes& nodes, int origin, int node,
                             std::int64_t most) {
  std::vector<Piece> pieces;
  for (std::int64_t token = 0; token < routing.tokens(origin); ++token) {
    if (!needed_on(routing, nodes, node, origin, token)) continue;
    if (pieces.empty() || static_cast<std::int64_t>(pieces.back().tokens.size()) == most)
      pieces.push_back({origin, {}});
    pieces.back().tokens.push_back(token);
  }
  return pieces;
}

std::vector<Piece> pieces_of(const Routing& routing, const Nodes& nodes, int forwarder, PieceSizes most) {
  const int node = nodes.node(forwarder);
  std::vector<Piece> pieces = pieces_of(routing, nodes, forwarder, node, most.own);
  for (int origin = 0; origin < routing.ranks(); ++origin) {
    if (nodes.node(origin) == node || forwarder_of(nodes, origin, node) != forwarder) continue;
    for (Piece& piece : pieces_of(routing, nodes, origin, node, most.arrived))
      pieces.push_back(std::move(piece));
  }
  return pieces;
}

bool needs(const Routing& routing, int rank, int origin, std::int64_t token) {
  bool found = false;
  routing.for_each_expert(origin, token, [&](int home, std::int64_t) { found |= home == rank; });
  return found;
}

Places::Places(const Routing& routing, int rank) {
  std::size_t tokens = 0;
  for (int origin = 0; origin < routing.ranks(); ++origin) {
    first_.push_back(tokens);
    tokens += static_cast<std::size_t>(routing.tokens(origin));
  }
  const std::vector<Arrival> all = arrivals(routing, rank);
  const auto index_of = [&](const Arrival& arrival) {
    return first_[static_cast<std::size_t>(arrival.origin)] + static_cast<std::size_t>(arrival.token);
  };
  starts_.assign(tokens + 1, 0);
  for (const Arrival& arrival : all) ++starts_[index_of(arrival) + 1];
  for (std::size_t t = 0; t < tokens; ++t) starts_[t + 1] += starts_[t];
  places_.resize(all.size());
  std::vector<std::size_t> next(starts_.begin(), starts_.end() - 1);
  for (std::size_t place = 0; place < all.size(); ++place)
    places_[next[index_of(all[place])]++] = static_cast<std::int64_t>(place);
}

}  // namespace mpix::bench
