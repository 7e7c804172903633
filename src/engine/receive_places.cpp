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

namespace {

/// Longer pieces are calls of their own.
constexpr std::int64_t kShort = 32 << 10;

/// Where run number `run` begins, in bytes from the buffer's address.
std::int64_t run_place(const kernels::Blocks& blocks, std::int64_t run) noexcept {
  if (blocks.form != kernels::Form::strided) return blocks.offset + blocks.offsets[run];
  std::int64_t place = blocks.offset;
  for (std::int32_t d = blocks.ndims - 1; d > 0; --d) {
    place += run % blocks.dims[d].count * blocks.dims[d].stride;
    run /= blocks.dims[d].count;
  }
  return blocks.ndims > 0 ? place + run * blocks.dims[0].stride : place;
}

}  // namespace

PlaceInRun place_in_run(const kernels::Blocks& blocks, const kernels::Cursor& cursor) noexcept {
  const std::int64_t run = blocks.form == kernels::Form::segments ? blocks.lengths[cursor.run] : blocks.run;
  return {run_place(blocks, cursor.run) + cursor.within, run - cursor.within};
}

void PieceScatter::add(kernels::Cursor to, std::int64_t from, std::int64_t bytes) noexcept {
  const PlaceInRun place = place_in_run(blocks_, to);
  if (bytes > place.rest || bytes > kShort)
    return kernels_.scatter(target_, blocks_, to, source_ + from, static_cast<std::size_t>(bytes), stores_);
  if (bytes != length_ || pieces_ == kMost) flush();
  length_ = bytes;
  to_[pieces_] = place.offset;
  from_[pieces_++] = from;
}

void PieceScatter::flush() noexcept {
  kernels::Blocks to;
  to.form = kernels::Form::indexed;
  to.run = length_;
  to.nruns = static_cast<std::int64_t>(pieces_);
  to.bytes = to.run * to.nruns;
  kernels::Blocks from = to;
  to.offsets = to_.data();
  from.offsets = from_.data();
  kernels::Cursor to_begin, from_begin;
  kernels_.copy(target_, to, to_begin, source_, from, from_begin, static_cast<std::size_t>(to.bytes),
                stores_);
  pieces_ = 0;
}

}  // namespace mpix::engine
