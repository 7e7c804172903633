// SPDX-License-Identifier: BSD-3-Clause
/// What the direct and the node-aware route cost one rank, and how they load the NICs.
#pragma once

#include <cstdint>

#include "benchmarks/scale/traffic.hpp"
#include "layout/layout.hpp"
#include "plan/nodes.hpp"

namespace mpix::bench {

struct Limits {
  std::int64_t nics = 0;  ///< of a node
  std::int64_t least_chunk = 0, most_chunk = 0;
};

/// One rank's plan. Only traffic with other nodes counts in `messages` and below.
struct Cost {
  double seconds = 0;         ///< median time to plan
  std::int64_t memory = 0;    ///< bytes of the plan
  std::int64_t messages = 0;  ///< chunks that are sent
  std::int64_t endpoints = 0;
  std::int64_t wire_bytes = 0;
  std::int64_t list_bytes = 0;  ///< of lists that receivers need to forward, sent once a plan
};

Cost direct_cost(int rank, const Layout& layout, const plan::NodeMap& map, const Limits& limits);
Cost node_cost(int rank, const Layout& layout, const plan::NodeMap& map, const Limits& limits);

/// The bytes that the most loaded NIC receives, over the mean of the NICs.
struct Heaviest {
  double direct = 0, node = 0;
};
Heaviest heaviest_nic(const Traffic& traffic, const ScaleCase& what, const Limits& limits);

}  // namespace mpix::bench
