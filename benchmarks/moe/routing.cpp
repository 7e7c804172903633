// SPDX-License-Identifier: BSD-3-Clause
#include "benchmarks/moe/routing.hpp"

#include <algorithm>
#include <numeric>
#include <string>
#include <tuple>

#include "benchmarks/common/check.hpp"
#include "benchmarks/common/moe_pattern.hpp"
#include "benchmarks/common/random.hpp"

namespace mpix::bench {
namespace {

enum Purpose : std::uint64_t { one_node = 21 };

/// For each rank the lowest rank of its node.
std::vector<int> leaders_by_mpi(MPI_Comm comm) {
  const int rank = comm_rank(comm);
  Comm shared;
  check(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, shared.out()),
        "MPI_Comm_split_type");
  int leader = rank;
  check(MPI_Bcast(&leader, 1, MPI_INT, 0, shared.get()), "MPI_Bcast");
  std::vector<int> leaders(static_cast<std::size_t>(comm_size(comm)));
  check(MPI_Allgather(&leader, 1, MPI_INT, leaders.data(), 1, MPI_INT, comm), "MPI_Allgather");
  return leaders;
}

std::vector<int> leaders_given(const std::vector<int>& given, int ranks) {
  const int sum = std::accumulate(given.begin(), given.end(), 0);
  if (sum != ranks) {
    throw Error("--nodes-of-ranks: " + std::to_string(sum) + " ranks in all, this run has " +
                std::to_string(ranks));
  }
  std::vector<int> leaders;
  for (const int size : given)
    leaders.insert(leaders.end(), static_cast<std::size_t>(size), static_cast<int>(leaders.size()));
  return leaders;
}

/// All experts of a token on one node.
std::vector<std::int64_t> route_to_one_node(const Options& options, const Nodes& nodes, int rank) {
  std::vector<std::vector<std::int64_t>> experts(nodes.ranks.size());
  const auto ranks = static_cast<std::int64_t>(nodes.node_of.size());
  for (std::int64_t e = 0; e < options.experts; ++e) {
    experts[static_cast<std::size_t>(nodes.node(static_cast<int>(e * ranks / options.experts)))].push_back(e);
  }
  for (const auto& list : experts) {
    if (static_cast<std::int64_t>(list.size()) < options.topk)
      throw Error("--top-k: more than the experts of a node, --traffic one-node is not possible");
  }
  Random random(options.seed, Purpose::one_node, static_cast<std::uint64_t>(rank));
  std::vector<std::int64_t> chosen;
  for (std::int64_t token = 0; token < options.tokens; ++token) {
    auto& list = experts[random.below(experts.size())];
    for (std::size_t k = 0; k < static_cast<std::size_t>(options.topk); ++k) {
      std::swap(list[k], list[k + random.below(list.size() - k)]);
      chosen.push_back(list[k]);
    }
  }
  return chosen;
}

/// Every second rank, node after node.
std::vector<bool> ranks_with_tokens(const Nodes& nodes) {
  std::vector<bool> have(nodes.node_of.size());
  bool next = true;
  for (const auto& ranks : nodes.ranks) {
    for (const int rank : ranks) {
      have[static_cast<std::size_t>(rank)] = next;
      next = !next;
    }
  }
  return have;
}

}  // namespace

Nodes discover_nodes(const std::vector<int>& given, MPI_Comm comm) {
  const auto leaders = given.empty() ? leaders_by_mpi(comm) : leaders_given(given, comm_size(comm));
  Nodes nodes;
  for (std::size_t r = 0; r < leaders.size(); ++r) {
    const int rank = static_cast<int>(r);
    if (leaders[r] == rank) nodes.ranks.emplace_back();
    // A leader is the lowest of its ranks and has been numbered already.
    const int node = leaders[r] == rank ? nodes.count() - 1 : nodes.node(leaders[r]);
    auto& ranks = nodes.ranks[static_cast<std::size_t>(node)];
    nodes.node_of.push_back(node);
    nodes.local_of.push_back(static_cast<int>(ranks.size()));
    ranks.push_back(rank);
  }
  return nodes;
}

Routing make_routing(const Options& options, Traffic traffic, const Nodes& nodes) {
  Routing routing{options.experts, options.topk, {}};
  Router router{options.experts, options.topk, options.tokens, {}};
  if (traffic == Traffic::skewed)
    router.cumulated = popularities(options.experts, options.skew, options.seed);
  const auto have = ranks_with_tokens(nodes);
  for (std::size_t rank = 0; rank < nodes.node_of.size(); ++rank) {
    if (traffic == Traffic::one_node) {
      routing.chosen.push_back(route_to_one_node(options, nodes, static_cast<int>(rank)));
    } else if (traffic == Traffic::bimodal && !have[rank]) {
      routing.chosen.emplace_back();
    } else {
      routing.chosen.push_back(route(router, options.seed, static_cast<int>(rank)));
    }
  }
  return routing;
}

std::vector<Arrival> arrivals(const Routing& routing, int rank) {
  std::vector<std::tuple<std::int64_t, int, std::int64_t>> found;
  for (int origin = 0; origin < routing.ranks(); ++origin) {
    for (std::int64_t token = 0; token < routing.tokens(origin); ++token) {
      routing.for_each_expert(origin, token, [&](int home, std::int64_t expert) {
        if (home == rank) found.emplace_back(expert, origin, token);
      });
    }
  }
  std::sort(found.begin(), found.end());
  std::vector<Arrival> places;
  for (const auto& [expert, origin, token] : found) places.push_back({origin, token});
  return places;
}

Exchange make_dispatch(const Routing& routing, std::int64_t row, MPI_Comm comm) {
  const Dispatch dispatch{routing.experts, routing.topk, routing.ranks(),
                          [&](int rank) { return routing.of(rank); }};
  Exchange exchange;
  exchange.comm = comm;
  exchange.send = dispatch_sent(dispatch, row, comm_rank(comm));
  exchange.recv = dispatch_received(dispatch, row, comm_rank(comm));
  return exchange;
}

Volume volume_of(const Routing& routing, const Nodes& nodes) {
  Volume volume;
  std::vector<std::int64_t> sent(nodes.ranks.size(), 0);
  std::vector<std::int64_t> received(nodes.ranks.size(), 0);
  std::vector<int> reached;
  for (int origin = 0; origin < routing.ranks(); ++origin) {
    const int from = nodes.node(origin);
    for (std::int64_t token = 0; token < routing.tokens(origin); ++token) {
      reached.clear();
      routing.for_each_expert(origin, token, [&](int home, std::int64_t) {
        const int to = nodes.node(home);
        ++volume.pairs;
        if (to == from) return;
        ++volume.pairs_between;
        if (std::find(reached.begin(), reached.end(), to) == reached.end()) reached.push_back(to);
      });
      volume.unique_between += static_cast<std::int64_t>(reached.size());
      sent[static_cast<std::size_t>(from)] += static_cast<std::int64_t>(reached.size());
      for (const int to : reached) ++received[static_cast<std::size_t>(to)];
    }
  }
  for (const auto& rows : {sent, received})
    volume.heaviest = std::max(volume.heaviest, *std::max_element(rows.begin(), rows.end()));
  return volume;
}

}  // namespace mpix::bench
