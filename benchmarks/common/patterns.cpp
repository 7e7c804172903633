// SPDX-License-Identifier: BSD-3-Clause
#include "benchmarks/common/patterns.hpp"

#include <algorithm>

namespace mpix::bench {
namespace {

/// A message of whole rows of at most `size` bytes a peer.
Case rows_case(const Options& options, std::int64_t size, std::int64_t row) {
  row = std::min(row, size);
  if (options.pattern == Pattern::moe) return {size, row, {}, {}};
  return {size / row * row, row, {}, {}};
}

}  // namespace

std::string label(const Case& what) {
  if (what.row > 0) return std::to_string(what.row);
  return std::to_string(what.grid.x) + "x" + std::to_string(what.grid.y) + "x" + std::to_string(what.grid.z) +
         ":" + name(what.transpose);
}

std::vector<Case> list_cases(const Options& options, int ranks) {
  if (options.pattern == Pattern::fft) return list_fft_cases(options, ranks);
  std::vector<Case> cases;
  const bool one_size = options.total > 0 || options.tokens > 0;
  for (const std::int64_t row : options.rows) {
    if (options.tokens > 0) {
      cases.push_back(rows_case(options, std::max(options.tokens * options.topk * row / ranks, row), row));
    } else if (options.total > 0) {
      cases.push_back(rows_case(options, std::max<std::int64_t>(options.total / ranks, 1), row));
    }
    for (std::int64_t size = options.min_size; !one_size && size <= options.max_size; size *= 2) {
      cases.push_back(rows_case(options, size, row));
    }
  }
  return cases;
}

Exchange make_exchange(const Options& options, const Case& what, MPI_Comm comm) {
  switch (options.pattern) {
    case Pattern::fft:
      return make_fft_exchange(options, what, comm);
    case Pattern::moe:
      return make_moe_exchange(options, what, comm);
    default:
      return make_rows_exchange(options, what, comm);
  }
}

}  // namespace mpix::bench
