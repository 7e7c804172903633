// SPDX-License-Identifier: BSD-3-Clause
#include "engine/receive_places.hpp"

#include <algorithm>
#include <numeric>

namespace mpix::engine {

kernels::Cursor ReceivePlaces::cursor(const kernels::Blocks& blocks, std::int64_t offset) {
  if (blocks.form != kernels::Form::segments) return {offset / blocks.run, offset % blocks.run};
  if (ends_.empty()) {
    ends_.resize(static_cast<std::size_t>(blocks.nruns));
    std::inclusive_scan(blocks.lengths, blocks.lengths + blocks.nruns, ends_.begin());
  }
  const auto run = std::upper_bound(ends_.begin(), ends_.end(), offset) - ends_.begin();
  return {run, offset - (ends_[static_cast<std::size_t>(run)] - blocks.lengths[run])};
}

}  // namespace mpix::engine
