// SPDX-License-Identifier: BSD-3-Clause
/// Mixture-of-experts dispatch: each token's row goes to every one of its experts. A rank sends straight from
/// its table of tokens, in which a row may be listed several times, and receives rows grouped by expert.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "benchmarks/common/exchange.hpp"

namespace mpix::bench {

/// Chooses the experts of tokens at random.
struct Router {
  std::int64_t experts, topk, tokens;
  std::vector<double> cumulated;  ///< [experts] sums of the popularities; empty: all alike
};

/// Sums of log-normal popularities, for Router::cumulated.
std::vector<double> popularities(std::int64_t experts, double sigma, std::uint64_t seed);

/// The experts of the tokens of `rank`: [tokens * topk], different ones for each token.
std::vector<std::int64_t> route(const Router& router, std::uint64_t seed, int rank);

struct Dispatch {
  std::int64_t experts, topk;
  int ranks;
  /// The experts of the tokens of a rank: [tokens * topk].
  std::function<std::vector<std::int64_t>(int rank)> route;

  /// The rank that has `expert`; they are spread evenly.
  int home_of(std::int64_t expert) const { return static_cast<int>(expert * ranks / experts); }
};

/// The rows of the table of tokens of `rank`, for each peer in the order of the tokens.
Side dispatch_sent(const Dispatch& dispatch, std::int64_t row, int rank);

/// Rows that `rank` receives lie by expert, then by sender, then by token. One row more follows that nobody
/// writes.
Side dispatch_received(const Dispatch& dispatch, std::int64_t row, int rank);

}  // namespace mpix::bench
