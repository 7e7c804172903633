// SPDX-License-Identifier: BSD-3-Clause
/// Generated traffic of very many ranks: what one of them sends, as a layout, and what all of them send to
/// some nodes, as flows.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "layout/layout.hpp"

namespace mpix::bench {

struct ScaleCase {
  std::int64_t ranks = 0, per_node = 0;
  std::int64_t tokens = 0, topk = 0, row = 0;
  std::int64_t token_nodes = 0;  ///< moe-limited: nodes that the experts of a token are on
  std::int64_t degree = 0;       ///< sparse: peers of a rank
  std::uint64_t seed = 0;

  std::int64_t nodes() const noexcept { return ranks / per_node; }
};

/// What one rank sends to one node.
struct Flow {
  std::int64_t source = 0;
  std::int64_t node = 0;
  std::int64_t unique = 0;       ///< bytes, each range once
  std::vector<std::int64_t> to;  ///< [per_node] bytes, by receiver
};

class Traffic {
 public:
  virtual ~Traffic() = default;
  /// What `rank` sends, buffer offsets from 0.
  virtual LayoutRef sent_by(std::int64_t rank) const = 0;
  /// Calls `visit` with every flow from other nodes into nodes(), by sources in ascending order.
  virtual void visit_flows(const std::function<void(const Flow&)>& visit) const = 0;
  /// The nodes whose flows are visited: all, or a part of them that is large enough to stand for all.
  const std::vector<std::int64_t>& nodes() const noexcept { return nodes_; }

 protected:
  std::vector<std::int64_t> nodes_;
};

/// `name`: moe, moe-limited, fft or sparse. Null for other names.
std::unique_ptr<Traffic> make_traffic(const std::string& name, const ScaleCase& what);

}  // namespace mpix::bench
