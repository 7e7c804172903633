// SPDX-License-Identifier: BSD-3-Clause
#include "device/cuda/mirror.hpp"

#include "kernels/device/lists.hpp"

namespace mpix::device::cuda {
namespace {

using kernels::device::ListSizes;
using kernels::device::StridedDim;

/// Takes room for `count` entries at the end of `bytes`; -1 for none.
template <typename T>
std::int64_t take(std::size_t& bytes, std::int64_t count) {
  static_assert(sizeof(T) % alignof(std::int64_t) == 0);
  if (count == 0) return -1;
  const auto place = static_cast<std::int64_t>(bytes);
  bytes += static_cast<std::size_t>(count) * sizeof(T);
  return place;
}

/// Where the lists of `blocks` will lie; adds them to `bytes`.
BlocksPlace place_of(const kernels::Blocks& blocks, std::size_t& bytes) {
  const ListSizes sizes = kernels::device::list_sizes(blocks);
  BlocksPlace place;
  place.blocks = blocks;
  place.blocks.dims = nullptr;
  place.blocks.offsets = place.blocks.lengths = nullptr;
  place.alignment = kernels::device::alignment_of(blocks);
  place.dims = take<StridedDim>(bytes, sizes.dims);
  place.offsets = take<std::int64_t>(bytes, sizes.offsets);
  place.ends = take<std::int64_t>(bytes, sizes.ends);
  place.coarse = take<std::int64_t>(bytes, sizes.coarse);
  return place;
}

template <typename T>
T* list_at(std::vector<std::byte>& memory, std::int64_t place) {
  return place < 0 ? nullptr : reinterpret_cast<T*>(memory.data() + place);
}

}  // namespace

HostLists make_lists(std::span<const kernels::Blocks* const> blocks) {
  HostLists lists;
  std::size_t bytes = 0;
  lists.places.reserve(blocks.size());
  for (const kernels::Blocks* const b : blocks)
    lists.places.push_back(b != nullptr ? place_of(*b, bytes) : BlocksPlace());
  lists.memory.resize(bytes);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (blocks[i] == nullptr) continue;
    const BlocksPlace& place = lists.places[i];
    kernels::device::write_lists(*blocks[i], list_at<StridedDim>(lists.memory, place.dims),
                                 list_at<std::int64_t>(lists.memory, place.offsets),
                                 list_at<std::int64_t>(lists.memory, place.ends),
                                 list_at<std::int64_t>(lists.memory, place.coarse));
  }
  return lists;
}

std::optional<IpcPlace> ListMirror::place() const noexcept {
  return has_lists() ? shared_->exports.place(data()) : std::nullopt;
}

}  // namespace mpix::device::cuda
