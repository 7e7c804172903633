// SPDX-License-Identifier: BSD-3-Clause
/// What the generators of traffic have in common.
#pragma once

#include "benchmarks/scale/traffic.hpp"

namespace mpix::bench {

/// `visits`: nodes that a token visits, each for topk / visits experts; topk where they are drawn freely.
std::unique_ptr<Traffic> make_moe(const ScaleCase& what, std::int64_t visits);
std::unique_ptr<Traffic> make_fft(const ScaleCase& what);
std::unique_ptr<Traffic> make_sparse(const ScaleCase& what);

/// Row i, `row` bytes at offsets[i], goes to peers[i]; each peer gets its rows in the order of i.
LayoutRef rows_layout(std::int64_t ranks, const std::vector<std::int64_t>& peers,
                      const std::vector<std::int64_t>& offsets, std::int64_t row);

/// Adds up what one source sends to each of some nodes.
class FlowTable {
 public:
  FlowTable(const ScaleCase& what, const std::vector<std::int64_t>& nodes);
  /// Nothing where `rank` is on no node in question, or on that of `source`.
  void add(std::int64_t source, std::int64_t rank, std::int64_t bytes, std::int64_t unique);
  /// Hands out the flows of the source that was added, and starts anew.
  void flush(const std::function<void(const Flow&)>& visit);

 private:
  std::int64_t per_node_;
  std::vector<std::int32_t> place_;  // by node: its place in flows_, -1 for none
  std::vector<Flow> flows_;
  std::vector<std::size_t> touched_;
};

}  // namespace mpix::bench
