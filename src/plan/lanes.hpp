// SPDX-License-Identifier: BSD-3-Clause
/// How what one rank sends to a node is spread over the node's ranks ("lanes"), each with a NIC of its own:
/// functions of facts that sender and receivers share, so that nothing has to be agreed.
#pragma once

#include <cstdint>

namespace mpix::plan {

/// The lane of chunk number `chunk` of what `source_rank` sends to `node`, in [0, lanes); `chunk` >= 0,
/// `lanes` > 0. Consecutive chunks go round the lanes. Where they start depends on source and node such that
/// the first chunks of many sources are level over the lanes too, whether the sources are consecutive ranks
/// or every n-th rank.
int lane(int source_rank, int node, std::int64_t chunk, int lanes) noexcept;

/// The length of the chunks, but for the last, in which `bytes` bytes > 0 go to a node with `lanes` > 0
/// lanes: at most `most`, such that every lane has the same number of chunks and, but for rounding, the same
/// bytes. Chunks shorter than `least` are not made: the lanes then differ by up to one chunk of that length.
/// 0 < `least` <= `most`.
std::int64_t chunk_bytes(std::int64_t bytes, int lanes, std::int64_t least, std::int64_t most) noexcept;

}  // namespace mpix::plan
