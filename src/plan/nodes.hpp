// SPDX-License-Identifier: BSD-3-Clause
/// Which ranks of a communicator share a node, as tables that any rank can be looked up in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mpix::plan {

/// Nodes are numbered from 0 in the order of their first ranks. 12 bytes a rank and 4 a node; looking up is
/// O(1).
class NodeMap {
 public:
  NodeMap() = default;
  /// `numbers[r]`: any number that the ranks on the node of rank r, and no others, share. O(ranks).
  explicit NodeMap(std::span<const int> numbers);

  int nranks() const noexcept { return static_cast<int>(node_.size()); }
  int nodes() const noexcept { return static_cast<int>(first_.size()) - 1; }
  int node_of(int rank) const noexcept { return node_[static_cast<std::size_t>(rank)]; }
  /// The place of `rank` among ranks(node_of(rank)).
  int local_of(int rank) const noexcept { return local_[static_cast<std::size_t>(rank)]; }
  /// The ranks on `node`, ascending, at least one.
  std::span<const int> ranks(int node) const noexcept {
    const auto n = static_cast<std::size_t>(node);
    return std::span(members_).subspan(static_cast<std::size_t>(first_[n]),
                                       static_cast<std::size_t>(first_[n + 1] - first_[n]));
  }
  std::int64_t memory() const noexcept;

 private:
  std::vector<int> node_, local_;  // by rank
  std::vector<int> first_{0};      // [nodes + 1]
  std::vector<int> members_;       // of node n: [first_[n], first_[n + 1])
};

}  // namespace mpix::plan
