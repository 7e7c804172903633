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
  }
  add_up();
}

Layout::Layout(int npeers, std::vector<PeerBlocks> parts, GpuList list, std::int64_t low, std::int64_t high)
    : npeers_(npeers),
      parts_(std::move(parts)),
      gpu_list_(std::make_unique<const GpuList>(std::move(list))),
      listed_on_host_(false),
      true_lb_(low),
      true_ub_(high),
      serial_(next_serial()) {
  gpu_offsets_.reserve(parts_.size());
  kernels::GpuOffsets next = gpu_list_->offsets;
  for (PeerBlocks& part : parts_) {
    gpu_offsets_.push_back(next);
    part.blocks.on_gpu = &gpu_offsets_.back();
    next.offsets += part.blocks.nruns;
  }
  add_up();
}

/// Checks that what the peers have together fits 64 bits.
void Layout::add_up() {
  for (const PeerBlocks& part : parts_) {
    if (__builtin_add_overflow(bytes_, part.blocks.bytes, &bytes_) ||
        __builtin_add_overflow(runs_, part.blocks.nruns, &runs_))
      throw Error(Code::count, "the bytes of all peers together do not fit 64 bits");
  }
  if (std::int64_t extent = 0; __builtin_sub_overflow(true_ub_, true_lb_, &extent))
    throw Error(Code::argument, "the layout's lowest and highest bytes are more than 2^63 bytes apart");
}

std::int64_t Layout::memory() const noexcept {
  const std::lock_guard guard(listing_);
  return static_cast<std::int64_t>(sizeof(Layout)) + memory_of(parts_) + memory_of(gpu_offsets_) +
         memory_of(storage_.dims) + memory_of(storage_.arrays) + storage_.bytes;
}

void Layout::list_on_host() const {
  if (listed_on_host()) return;
  const std::lock_guard guard(listing_);
  if (listed_on_host()) return;
  const auto entries = static_cast<std::size_t>(runs_);
  auto list = std::make_unique<std::int64_t[]>(entries);
  gpu_list_->read({list.get(), entries});
  storage_.arrays.reserve(1);
  const std::int64_t* next = list.get();
  for (PeerBlocks& part : parts_) {
    part.blocks.offsets = next;
    next += part.blocks.nruns;
  }
  storage_.arrays.push_back(std::move(list));
  storage_.bytes += runs_ * static_cast<std::int64_t>(sizeof(std::int64_t));
  listed_on_host_.store(true, std::memory_order_release);
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
