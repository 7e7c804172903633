// SPDX-License-Identifier: BSD-3-Clause
/// How what one rank sends to a node is spread over the node's ranks ("lanes"), each with a NIC of its own:
/// functions of facts that a rank has without asking.
#pragma once

#include <cstdint>
#include <vector>

namespace mpix::plan {

/// The sender of a flow: its rank, its place among the `ranks` ranks of its node.
struct LaneSource {
  int rank = 0;
  int local = 0;
  int ranks = 1;
};

/// Bytes [begin, end) of a flow go through lane number `lane` of the receiving node.
struct LaneShare {
  int lane = 0;
  std::int64_t begin = 0, end = 0;
};

/// The shares of a flow of `bytes` > 0 bytes from `source` to `node`, which has `lanes` > 0 ranks; ascending,
/// without gaps, none empty. A rank sends to the ranks that have its own place in their nodes ("rails"), so
/// that ranks which send alike load all lanes alike, and a NIC talks with its counterparts only. Between
/// nodes with different numbers of ranks the places are stretched, and a rank's share is cut where they do
/// not match. Shares shorter than `least` are not made: one lane, which depends on source and node, then gets
/// all.
std::vector<LaneShare> lane_shares(const LaneSource& source, int node, int lanes, std::int64_t bytes,
                                   std::int64_t least);

/// The lane that lies opposite to the middle of place `local` of a node with `ranks` ranks.
int opposite_lane(int local, int ranks, int lanes) noexcept;

}  // namespace mpix::plan
