// SPDX-License-Identifier: BSD-3-Clause
/// What one rank sends to the ranks of another node, with bytes that several blocks have in common listed
/// once. By address: nothing but the blocks themselves says what is the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/blocks.hpp"

namespace mpix::plan {

/// Where the bytes of a unique range go: to `local`, the receiver's place among the ranks of its node, as the
/// bytes from `offset` on of what this rank sends to it.
struct Delivery {
  std::int32_t local;
  std::int64_t offset;
};

/// One receiver on the node and the blocks that this rank sends to it; null or without bytes: nothing.
struct NodePart {
  std::int32_t local;
  const kernels::Blocks* blocks;
};

/// What one rank sends to the ranks of one other node, each byte range once.
struct NodeSend {
  std::vector<std::int64_t> offsets, lengths;  ///< of the unique ranges, from the send buffer's address, in
                                               ///< the order of first appearance; no two are equal
  std::vector<std::int64_t> first;   ///< [ranges + 1]: range i has deliveries [first[i], first[i + 1])
  std::vector<Delivery> deliveries;  ///< of one range in the order of the parts, then of their streams
  std::int64_t unique_bytes = 0;     ///< sum of lengths
  std::int64_t total_bytes = 0;      ///< over all receivers
  std::int64_t grain = 1;            ///< a power of two that all lengths and all deliveries' offsets are
                                     ///< multiples of
  std::int64_t run = 0;              ///< length of all ranges; 0 where there is no such

  /// Sets `grain` to the largest, and `run`. O(ranges + deliveries).
  void find_common() noexcept;

  /// The unique ranges, one block each; valid while this lives.
  kernels::Blocks blocks() const noexcept;
  std::int64_t memory() const noexcept;
};

/// Most runs of strided parts, and of all parts, that are worth listing one by one.
inline constexpr std::int64_t kMaxStridedRuns = std::int64_t{1} << 16;
inline constexpr std::int64_t kMaxRuns = std::int64_t{1} << 28;

/// Cheap test, O(parts), whether listing equal bytes once can pay: false where the parts have too many runs
/// to list, or where there is one part only, of a form that cannot repeat.
bool may_repeat(std::span<const NodePart> parts) noexcept;

/// How often a run of `blocks` comes in the mean, by some of the runs and all that are equal to these.
/// O(runs), but much less than listing them takes. Throws std::bad_alloc.
double sampled_repetition(const kernels::Blocks& blocks);

/// Working memory of make_node_send, kept from node to node so that small nodes cost no allocations of it.
class NodeSendScratch {
 public:
  std::int64_t memory() const noexcept;

 private:
  friend class NodeSendBuilder;
  struct Use {  // a run, or a piece of one, in the order of appearance
    std::uint32_t range;
    std::int32_t local;
    std::int64_t offset;
  };
  struct Cut {  // pieces [first, last) of a range that was cut at bounds_
    std::uint32_t first, last;
  };
  std::vector<std::uint32_t> slots_;  // hash table of ranges by (offset, length)
  std::vector<std::int64_t> offsets_, lengths_;
  std::vector<Use> uses_, pieces_;
  std::vector<std::int64_t> bounds_;
  std::vector<Cut> cuts_;
};

/// Lists every run of every part once per distinct (offset, length). Runs that overlap in part are cut at
/// each other's ends, so that what they share is listed once too, where this saves more bytes than the
/// further entries cost; elsewhere they stay separate ranges. O(runs) time and memory, by hashing; where runs
/// have different lengths or places that do not fit one grid, sorting makes it O(runs log runs). Throws Error
/// (internal) where there are more than kMaxRuns runs.
NodeSend make_node_send(std::span<const NodePart> parts, NodeSendScratch& scratch);
NodeSend make_node_send(std::span<const NodePart> parts);

}  // namespace mpix::plan
