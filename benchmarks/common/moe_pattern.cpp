// SPDX-License-Identifier: BSD-3-Clause
#include "benchmarks/common/moe_pattern.hpp"

#include <algorithm>
#include <numeric>

#include "benchmarks/common/patterns.hpp"
#include "benchmarks/common/random.hpp"

namespace mpix::bench {
namespace {

enum Purpose : std::uint64_t { popularity = 11, routing = 12 };

std::int64_t draw_expert(const Router& router, Random& random) {
  if (router.cumulated.empty()) {
    return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(router.experts)));
  }
  const double at = random.unit() * router.cumulated.back();
  const auto found = std::lower_bound(router.cumulated.begin(), router.cumulated.end(), at);
  return std::min<std::int64_t>(found - router.cumulated.begin(), router.experts - 1);
}

}  // namespace

std::vector<double> popularities(std::int64_t experts, double sigma, std::uint64_t seed) {
  Random random(seed, Purpose::popularity, 0);
  std::vector<double> cumulated;
  double sum = 0;
  for (std::int64_t e = 0; e < experts; ++e) cumulated.push_back(sum += random.log_normal(sigma));
  return cumulated;
}

std::vector<std::int64_t> route(const Router& router, std::uint64_t seed, int rank) {
  Random random(seed, Purpose::routing, static_cast<std::uint64_t>(rank));
  std::vector<std::int64_t> experts;
  experts.reserve(static_cast<std::size_t>(router.tokens * router.topk));
  for (std::int64_t token = 0; token < router.tokens; ++token) {
    const auto first = static_cast<std::ptrdiff_t>(experts.size());
    while (static_cast<std::int64_t>(experts.size()) - first < router.topk) {
      const std::int64_t expert = draw_expert(router, random);
      if (std::find(experts.begin() + first, experts.end(), expert) == experts.end())
        experts.push_back(expert);
    }
  }
  return experts;
}

Side dispatch_sent(const Dispatch& dispatch, std::int64_t row, int rank) {
  const std::vector<std::int64_t> experts = dispatch.route(rank);
  std::vector<std::vector<std::int64_t>> tokens(static_cast<std::size_t>(dispatch.ranks));
  for (std::size_t i = 0; i < experts.size(); ++i) {
    tokens[static_cast<std::size_t>(dispatch.home_of(experts[i]))].push_back(static_cast<std::int64_t>(i) /
                                                                             dispatch.topk);
  }
  Side side;
  side.row = row;
  side.buffer_bytes = static_cast<std::int64_t>(experts.size()) / dispatch.topk * row;
  for (const auto& list : tokens) {
    side.counts.push_back(static_cast<std::int64_t>(list.size()));
    side.indices.insert(side.indices.end(), list.begin(), list.end());
  }
  return side;
}

Side dispatch_received(const Dispatch& dispatch, std::int64_t row, int rank) {
  std::vector<std::vector<std::int64_t>> mine(static_cast<std::size_t>(dispatch.ranks));
  std::vector<std::int64_t> places(static_cast<std::size_t>(dispatch.experts), 0);
  for (int from = 0; from < dispatch.ranks; ++from) {
    for (const std::int64_t expert : dispatch.route(from)) {
      if (dispatch.home_of(expert) != rank) continue;
      mine[static_cast<std::size_t>(from)].push_back(expert);
      ++places[static_cast<std::size_t>(expert)];
    }
  }
  std::exclusive_scan(places.begin(), places.end(), places.begin(), std::int64_t{0});
  Side side;
  side.row = row;
  for (const auto& list : mine) {
    side.counts.push_back(static_cast<std::int64_t>(list.size()));
    for (const std::int64_t expert : list) side.indices.push_back(places[static_cast<std::size_t>(expert)]++);
  }
  side.buffer_bytes = (static_cast<std::int64_t>(side.indices.size()) + 1) * row;
  return side;
}

Exchange make_moe_exchange(const Options& options, const Case& what, MPI_Comm comm) {
  const int rank = comm_rank(comm);
  const int ranks = comm_size(comm);
  Router router{options.experts, options.topk, options.tokens, {}};
  if (router.tokens == 0) {
    router.tokens = std::max<std::int64_t>(what.size * ranks / (what.row * router.topk), 1);
  }
  if (options.skew > 0) router.cumulated = popularities(router.experts, options.skew, options.seed);
  const Dispatch dispatch{router.experts, router.topk, ranks,
                          [&](int from) { return route(router, options.seed, from); }};
  Exchange exchange;
  exchange.comm = comm;
  exchange.send = dispatch_sent(dispatch, what.row, rank);
  exchange.recv = dispatch_received(dispatch, what.row, rank);
  return exchange;
}

}  // namespace mpix::bench
