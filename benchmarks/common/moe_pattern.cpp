// SPDX-License-Identifier: BSD-3-Clause
/// Mixture-of-experts dispatch: each token's row goes to every one of its experts. A rank sends straight from
/// its table of tokens, in which a row may be listed several times, and receives rows grouped by expert.
#include <algorithm>
#include <numeric>

#include "benchmarks/common/patterns.hpp"
#include "benchmarks/common/random.hpp"

namespace mpix::bench {
namespace {

enum Purpose : std::uint64_t { popularity = 11, routing = 12 };

struct Model {
  std::int64_t experts, topk, tokens;
  std::vector<double> cumulated;  ///< [experts] sums of the popularities; empty: uniform
};

Model make_model(const Options& options, const Case& what, int ranks) {
  Model model{options.experts, options.topk, options.tokens, {}};
  if (model.tokens == 0) {
    model.tokens = std::max<std::int64_t>(what.size * ranks / (what.row * model.topk), 1);
  }
  if (options.skew > 0) {
    Random random(options.seed, Purpose::popularity, 0);
    double sum = 0;
    for (std::int64_t e = 0; e < model.experts; ++e) {
      model.cumulated.push_back(sum += random.log_normal(options.skew));
    }
  }
  return model;
}

std::int64_t draw_expert(const Model& model, Random& random) {
  if (model.cumulated.empty()) {
    return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(model.experts)));
  }
  const double at = random.unit() * model.cumulated.back();
  const auto found = std::lower_bound(model.cumulated.begin(), model.cumulated.end(), at);
  return std::min<std::int64_t>(found - model.cumulated.begin(), model.experts - 1);
}

/// The experts of the tokens of `rank`: [tokens * topk], different ones for each token.
std::vector<std::int64_t> route(const Model& model, std::uint64_t seed, int rank) {
  Random random(seed, Purpose::routing, static_cast<std::uint64_t>(rank));
  std::vector<std::int64_t> experts;
  experts.reserve(static_cast<std::size_t>(model.tokens * model.topk));
  for (std::int64_t token = 0; token < model.tokens; ++token) {
    const auto first = static_cast<std::ptrdiff_t>(experts.size());
    while (static_cast<std::int64_t>(experts.size()) - first < model.topk) {
      const std::int64_t expert = draw_expert(model, random);
      if (std::find(experts.begin() + first, experts.end(), expert) == experts.end())
        experts.push_back(expert);
    }
  }
  return experts;
}

int home_of(const Model& model, std::int64_t expert, int ranks) {
  return static_cast<int>(expert * ranks / model.experts);
}

Side sent_side(const Model& model, const std::vector<std::int64_t>& experts, std::int64_t row, int ranks) {
  std::vector<std::vector<std::int64_t>> tokens(static_cast<std::size_t>(ranks));
  for (std::size_t i = 0; i < experts.size(); ++i) {
    tokens[static_cast<std::size_t>(home_of(model, experts[i], ranks))].push_back(
        static_cast<std::int64_t>(i) / model.topk);
  }
  Side side;
  side.row = row;
  side.buffer_bytes = model.tokens * row;
  for (const auto& list : tokens) {
    side.counts.push_back(static_cast<std::int64_t>(list.size()));
    side.indices.insert(side.indices.end(), list.begin(), list.end());
  }
  return side;
}

/// Rows lie by expert, then by sender, then by token.
Side received_side(const Model& model, std::uint64_t seed, std::int64_t row, int rank, int ranks) {
  std::vector<std::vector<std::int64_t>> mine(static_cast<std::size_t>(ranks));
  std::vector<std::int64_t> places(static_cast<std::size_t>(model.experts), 0);
  for (int from = 0; from < ranks; ++from) {
    for (const std::int64_t expert : route(model, seed, from)) {
      if (home_of(model, expert, ranks) != rank) continue;
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

}  // namespace

Exchange make_moe_exchange(const Options& options, const Case& what, MPI_Comm comm) {
  const int rank = comm_rank(comm);
  const int ranks = comm_size(comm);
  const Model model = make_model(options, what, ranks);
  Exchange exchange;
  exchange.comm = comm;
  exchange.send = sent_side(model, route(model, options.seed, rank), what.row, ranks);
  exchange.recv = received_side(model, options.seed, what.row, rank, ranks);
  return exchange;
}

}  // namespace mpix::bench
