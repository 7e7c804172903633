// SPDX-License-Identifier: BSD-3-Clause
/// Positions in blocks that are not visited in order.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/blocks.hpp"

namespace mpix::engine {

/// Where bytes go that do not come in order.
class ReceivePlaces {
 public:
  /// Where byte `offset` of what is received by `blocks` goes, which are the same at every call. May allocate
  /// at the first call.
  kernels::Cursor cursor(const kernels::Blocks& blocks, std::int64_t offset);

 private:
  std::vector<std::int64_t> ends_;  // of segments, in listing order
};

}  // namespace mpix::engine
