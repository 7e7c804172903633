// SPDX-License-Identifier: BSD-3-Clause
/// Which token goes to which expert, and where the ranks are. Every rank works all of it out from the seed.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <vector>

#include "benchmarks/common/exchange.hpp"
#include "benchmarks/moe/options.hpp"

namespace mpix::bench {

struct Nodes {
  std::vector<int> node_of;             ///< [ranks]
  std::vector<int> local_of;            ///< [ranks] number among the ranks of its node
  std::vector<std::vector<int>> ranks;  ///< [nodes] ascending

  int count() const { return static_cast<int>(ranks.size()); }
  int node(int rank) const { return node_of[static_cast<std::size_t>(rank)]; }
  int local(int rank) const { return local_of[static_cast<std::size_t>(rank)]; }
  const std::vector<int>& on(int node) const { return ranks[static_cast<std::size_t>(node)]; }
};

/// The nodes of `comm`: those that share memory by MPI's account, or consecutive ranks as `given` says.
/// Throws an Error where `given` is for another number of ranks. Collective.
Nodes discover_nodes(const std::vector<int>& given, MPI_Comm comm);

struct Routing {
  std::int64_t experts, topk;
  std::vector<std::vector<std::int64_t>> chosen;  ///< [ranks][tokens * topk], different ones for each token

  int ranks() const { return static_cast<int>(chosen.size()); }
  const std::vector<std::int64_t>& of(int rank) const { return chosen[static_cast<std::size_t>(rank)]; }
  std::int64_t tokens(int rank) const { return static_cast<std::int64_t>(of(rank).size()) / topk; }
  int home_of(std::int64_t expert) const { return static_cast<int>(expert * ranks() / experts); }

  /// Calls `visit(home of the expert, expert)` for the experts of a token.
  template <class Visit>
  void for_each_expert(int rank, std::int64_t token, Visit visit) const {
    const std::int64_t* const first = of(rank).data() + token * topk;
    for (std::int64_t k = 0; k < topk; ++k) visit(home_of(first[k]), first[k]);
  }
};

/// Throws an Error where the traffic is not possible with these experts and nodes; on all ranks alike.
Routing make_routing(const Options& options, Traffic traffic, const Nodes& nodes);

/// A row that arrives: where it comes from.
struct Arrival {
  int origin;
  std::int64_t token;
};

/// What `rank` receives, by place: ordered by expert, then by origin, then by token.
std::vector<Arrival> arrivals(const Routing& routing, int rank);

Exchange make_dispatch(const Routing& routing, std::int64_t row, MPI_Comm comm);

/// In rows.
struct Volume {
  std::int64_t pairs = 0;           ///< (token, expert)
  std::int64_t pairs_between = 0;   ///< those whose expert is on another node
  std::int64_t unique_between = 0;  ///< (token, other node with at least one of its experts)
  std::int64_t heaviest = 0;        ///< of these, the most that one node sends or receives
};
Volume volume_of(const Routing& routing, const Nodes& nodes);

}  // namespace mpix::bench
