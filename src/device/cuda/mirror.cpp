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

bool has_list(const kernels::Blocks& blocks, std::uint64_t gpu) noexcept {
  return blocks.on_gpu != nullptr && blocks.on_gpu->gpu == gpu;
}

/// Without pointers to lists: another thread may be setting those.
kernels::Blocks without_lists(const kernels::Blocks& blocks) noexcept {
  kernels::Blocks bare;
  bare.form = blocks.form;
  bare.ndims = blocks.ndims;
  bare.bytes = blocks.bytes;
  bare.offset = blocks.offset;
  bare.run = blocks.run;
  bare.nruns = blocks.nruns;
  return bare;
}

/// Where the list that the GPU has will lie; adds it to `lists`.
BlocksPlace add_list(const kernels::Blocks& blocks, HostLists& lists) {
  const kernels::GpuOffsets& there = *blocks.on_gpu;
  const auto bytes = static_cast<std::size_t>(blocks.nruns) * sizeof(std::int64_t);
  BlocksPlace place;
  place.blocks = without_lists(blocks);
  place.alignment = static_cast<std::uint64_t>(blocks.offset | blocks.run) | there.alignment;
  place.offsets = static_cast<std::int64_t>(lists.bytes);
  ListCopy* const last = lists.copies.empty() ? nullptr : &lists.copies.back();
  if (last != nullptr && last->from + last->bytes / sizeof(std::int64_t) == there.offsets)
    last->bytes += bytes;
  else
    lists.copies.push_back({there.offsets, lists.bytes, bytes});
  lists.bytes += bytes;
  return place;
}

/// Where the lists of `blocks` will lie; adds them to `bytes`.
BlocksPlace place_of(const kernels::Blocks& blocks, std::size_t& bytes) {
  const ListSizes sizes = kernels::device::list_sizes(blocks);
  BlocksPlace place;
  place.blocks = without_lists(blocks);
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

HostLists make_lists(std::span<const kernels::Blocks* const> blocks, std::uint64_t gpu) {
  HostLists lists;
  lists.places.resize(blocks.size());
  std::vector<std::size_t> of_host, of_gpu;
  for (std::size_t i = 0; i < blocks.size(); ++i)
    if (blocks[i] != nullptr) (has_list(*blocks[i], gpu) ? of_gpu : of_host).push_back(i);
  for (const std::size_t i : of_host) lists.places[i] = place_of(*blocks[i], lists.bytes);
  lists.memory.resize(lists.bytes);
  for (const std::size_t i : of_host) {
    const BlocksPlace& place = lists.places[i];
    kernels::device::write_lists(*blocks[i], list_at<StridedDim>(lists.memory, place.dims),
                                 list_at<std::int64_t>(lists.memory, place.offsets),
                                 list_at<std::int64_t>(lists.memory, place.ends),
                                 list_at<std::int64_t>(lists.memory, place.coarse));
  }
  for (const std::size_t i : of_gpu) lists.places[i] = add_list(*blocks[i], lists);
  return lists;
}

std::optional<IpcPlace> ListMirror::place() const noexcept {
  return has_lists() ? shared_->exports.place(data()) : std::nullopt;
}

}  // namespace mpix::device::cuda
