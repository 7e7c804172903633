// SPDX-License-Identifier: BSD-3-Clause
#include "layout/assembler.hpp"

#include <algorithm>
#include <utility>

namespace mpix::layout {

using kernels::Dim;
using kernels::Form;

/// Peers often differ in nothing but their offsets: equal dims in a row are stored once.
std::size_t Assembler::store(const std::vector<Dim>& dims) {
  const auto same = [](const Dim& a, const Dim& b) { return a.count == b.count && a.stride == b.stride; };
  if (!std::equal(dims.begin(), dims.end(), dims_.begin() + static_cast<std::ptrdiff_t>(last_dims_),
                  dims_.end(), same)) {
    last_dims_ = dims_.size();
    dims_.insert(dims_.end(), dims.begin(), dims.end());
  }
  return last_dims_;
}

void Assembler::add(int peer, const Shape& shape) {
  if (shape.empty()) return;
  kernels::Blocks blocks;
  blocks.form = shape.form;
  blocks.ndims = static_cast<std::int32_t>(shape.dims.size());
  blocks.bytes = shape.bytes;
  blocks.offset = shape.offset;
  blocks.run = shape.run;
  blocks.nruns = shape.nruns;
  if (!shape.dims.empty()) pending_dims_.push_back({parts_.size(), store(shape.dims)});
  if (shape.form != Form::strided)
    pending_lists_.push_back({parts_.size(), shape.arrays, shape.first_offset, shape.first_length});
  parts_.push_back({peer, blocks});
}

LayoutRef Assembler::finish(int npeers) {
  Layout::Storage storage;
  if (!dims_.empty()) {
    auto dims = std::make_unique<Dim[]>(dims_.size());
    std::copy(dims_.begin(), dims_.end(), dims.get());
    storage.bytes += static_cast<std::int64_t>(dims_.size() * sizeof(Dim));
    storage.dims.push_back(std::move(dims));
  }
  for (const PendingDims& pending : pending_dims_)
    parts_[pending.part].blocks.dims = storage.dims[0].get() + pending.first;
  for (const PendingList& pending : pending_lists_) {
    kernels::Blocks& blocks = parts_[pending.part].blocks;
    blocks.offsets = pending.arrays->offsets.get() + pending.first_offset;
    if (blocks.form == Form::segments) blocks.lengths = pending.arrays->lengths.get() + pending.first_length;
  }
  for (const PendingList& pending : pending_lists_) {
    if (pending.arrays->bytes == 0) continue;  // another peer's list is in the same arrays
    storage.bytes += std::exchange(pending.arrays->bytes, 0);
    storage.arrays.push_back(std::move(pending.arrays->offsets));
    if (pending.arrays->lengths != nullptr) storage.arrays.push_back(std::move(pending.arrays->lengths));
  }
  parts_.shrink_to_fit();
  return std::make_shared<const Layout>(npeers, std::move(parts_), std::move(storage));
}

}  // namespace mpix::layout
