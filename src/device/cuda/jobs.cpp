// SPDX-License-Identifier: BSD-3-Clause
#include "device/cuda/jobs.hpp"

#include <algorithm>

#include "device/cuda/mirror.hpp"
#include "kernels/device/lists.hpp"

namespace mpix::device::cuda {

using kernels::Form;
using kernels::device::Job;
using kernels::device::Piece;
using kernels::device::View;

namespace {

/// The list at `offset` of the memory at `lists`.
template <typename T>
const T* list_at(const std::byte* lists, std::int64_t offset) noexcept {
  return offset < 0 ? nullptr : reinterpret_cast<const T*>(lists + offset);
}

std::uint64_t bits(const void* address) noexcept {
  return reinterpret_cast<std::uintptr_t>(address);
}

std::uint64_t bits(std::int64_t number) noexcept {
  return static_cast<std::uint64_t>(number);
}

}  // namespace

End end_of(const Side& side) noexcept {
  const BlocksPlace& place = *side.blocks;
  const std::byte* lists = side.lists;
  if (side.mirror != nullptr) lists = static_cast<const ListMirror*>(side.mirror)->data();
  View view = {};
  // Kernels write through the views of targets only.
  view.base = const_cast<std::byte*>(side.base) + place.blocks.offset;
  view.form = place.blocks.form;
  view.ndims = place.blocks.ndims;
  if (view.form != Form::segments) view.run = kernels::device::make_divisor(place.blocks.run);
  view.dims = list_at<kernels::device::StridedDim>(lists, place.dims);
  view.offsets = list_at<std::int64_t>(lists, place.offsets);
  view.ends = list_at<std::int64_t>(lists, place.ends);
  view.coarse = list_at<std::int64_t>(lists, place.coarse);
  view.nruns = place.blocks.nruns;
  return {view, side.start, place.alignment | bits(side.base) | bits(side.start)};
}

End end_of(const std::byte* data, std::int64_t bytes) noexcept {
  View view = {};
  view.base = const_cast<std::byte*>(data);
  view.form = Form::strided;
  view.run = kernels::device::make_divisor(bytes);
  view.nruns = 1;
  return {view, 0, bits(data)};
}

Job make_job(const End& target, const End& source, std::int64_t bytes) noexcept {
  Job job = {};
  job.source = source.view;
  job.target = target.view;
  job.source_start = source.start;
  job.target_start = target.start;
  job.bytes = bytes;
  job.width = kernels::device::width_of(source.alignment | target.alignment | bits(bytes));
  return job;
}

PieceList make_pieces(std::span<const Entry> entries, Piece* pieces) noexcept {
  PieceList list;
  std::int64_t source_end = 0, target_end = 0;
  for (const Entry& entry : entries) {
    if (entry.bytes == 0) continue;
    const bool first = list.bytes == 0;
    if (first) list.low = entry.data;
    const std::int64_t source = entry.data - list.low;
    const bool joined = !first && source == source_end && entry.offset == target_end;
    list.bytes += entry.bytes;
    source_end = source + entry.bytes;
    target_end = entry.offset + entry.bytes;
    list.high = std::max(list.high, entry.data + entry.bytes);
    list.npieces += joined ? 0 : 1;
    list.alignment |= bits(source) | bits(entry.offset) | bits(entry.bytes);
    if (pieces == nullptr) continue;
    Piece& piece = pieces[list.npieces - 1];
    if (!joined) piece = {0, source, entry.offset};
    piece.end = list.bytes;
  }
  return list;
}

Job make_job(const End& target, const End& source, const PieceList& list, const Piece* pieces) noexcept {
  Job job = make_job(target, source, list.bytes);
  job.pieces = pieces;
  job.npieces = list.npieces;
  job.width = kernels::device::width_of(job.width | list.alignment);
  return job;
}

}  // namespace mpix::device::cuda
