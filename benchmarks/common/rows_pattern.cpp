// SPDX-License-Identifier: BSD-3-Clause
/// Random rows: permuted on both sides, as many for each peer (uniform) or log-normal numbers (skewed).
#include <algorithm>
#include <cmath>
#include <numeric>

#include "benchmarks/common/patterns.hpp"
#include "benchmarks/common/random.hpp"

namespace mpix::bench {
namespace {

enum Purpose : std::uint64_t { weights = 1, send_rows = 2, recv_rows = 3 };

/// Rows that rank `from` sends to each rank: the same total for every `from` but for rounding.
std::vector<std::int64_t> rows_sent(const Options& options, const Case& what, int from, int ranks) {
  const std::int64_t each = what.size / what.row;
  if (options.pattern == Pattern::uniform)
    return std::vector<std::int64_t>(static_cast<std::size_t>(ranks), each);
  Random random(options.seed, Purpose::weights, static_cast<std::uint64_t>(from));
  std::vector<double> shares(static_cast<std::size_t>(ranks));
  for (double& share : shares) share = random.log_normal(options.skew < 0 ? 1.0 : options.skew);
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  std::vector<std::int64_t> rows;
  for (const double share : shares)
    rows.push_back(std::llround(share / sum * static_cast<double>(each * ranks)));
  return rows;
}

/// A side whose rows are a random selection of a buffer with some rows more, so that there are gaps.
Side random_side(std::int64_t row, std::vector<std::int64_t> counts, Random random) {
  Side side;
  side.row = row;
  side.counts = std::move(counts);
  const std::int64_t rows = std::accumulate(side.counts.begin(), side.counts.end(), std::int64_t{0});
  const std::int64_t places = rows + rows / 32 + 1;
  side.buffer_bytes = places * row;
  const auto chosen = permutation(places, rows, random);
  side.indices.assign(chosen.begin(), chosen.end());
  return side;
}

}  // namespace

Exchange make_rows_exchange(const Options& options, const Case& what, MPI_Comm comm) {
  const int rank = comm_rank(comm);
  const int ranks = comm_size(comm);
  const auto me = static_cast<std::uint64_t>(rank);
  std::vector<std::int64_t> received;
  for (int from = 0; from < ranks; ++from) {
    received.push_back(rows_sent(options, what, from, ranks)[static_cast<std::size_t>(rank)]);
  }
  Exchange exchange;
  exchange.comm = comm;
  exchange.send = random_side(what.row, rows_sent(options, what, rank, ranks),
                              Random(options.seed, Purpose::send_rows, me));
  exchange.recv = random_side(what.row, std::move(received), Random(options.seed, Purpose::recv_rows, me));
  return exchange;
}

}  // namespace mpix::bench
