// SPDX-License-Identifier: BSD-3-Clause
#include "layout/layout.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

#include "base/status.hpp"
#include "layout/bounds.hpp"

namespace mpix {

namespace {

std::uint64_t next_serial() noexcept {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

template <typename T>
std::int64_t memory_of(const std::vector<T>& values) {
  return static_cast<std::int64_t>(values.capacity() * sizeof(T));
}

}  // namespace

Layout::Layout(int npeers, std::vector<PeerBlocks> parts, Storage storage)
    : npeers_(npeers), parts_(std::move(parts)), storage_(std::move(storage)), serial_(next_serial()) {
  bool first = true;
  for (const PeerBlocks& part : parts_) {
    const auto [low, high] = layout::bounds(part.blocks);
    true_lb_ = first ? low : std::min(true_lb_, low);
    true_ub_ = first ? high : std::max(true_ub_, high);
    first = false;
    if (__builtin_add_overflow(bytes_, part.blocks.bytes, &bytes_) ||
        __builtin_add_overflow(runs_, part.blocks.nruns, &runs_))
      throw Error(Code::count, "the bytes of all peers together do not fit 64 bits");
  }
  if (std::int64_t extent = 0; __builtin_sub_overflow(true_ub_, true_lb_, &extent))
    throw Error(Code::argument, "the layout's lowest and highest bytes are more than 2^63 bytes apart");
  memory_ = static_cast<std::int64_t>(sizeof(Layout)) + memory_of(parts_) + memory_of(storage_.dims) +
            memory_of(storage_.arrays) + storage_.bytes;
}

const kernels::Blocks* Layout::find(int peer) const noexcept {
  if (peer < 0 || peer >= npeers_) return nullptr;
  if (parts_.size() == static_cast<std::size_t>(npeers_))
    return &parts_[static_cast<std::size_t>(peer)].blocks;
  const auto at = std::lower_bound(parts_.begin(), parts_.end(), peer,
                                   [](const PeerBlocks& part, int wanted) { return part.peer < wanted; });
  return at != parts_.end() && at->peer == peer ? &at->blocks : nullptr;
}

}  // namespace mpix
