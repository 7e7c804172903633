// SPDX-License-Identifier: BSD-3-Clause
/// A list of runs in canonical form, and the operations that datatype constructors are made of. Strided
/// shapes stay symbolic: repeating one costs a dimension, whatever its count.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "kernels/blocks.hpp"
#include "layout/checked.hpp"

namespace mpix::layout {

/// Arrays that one or more shapes use parts of.
struct RunArrays {
  std::unique_ptr<std::int64_t[]> offsets, lengths;
  std::int64_t bytes = 0;  ///< memory that both take
};

/// As kernels::Blocks, but owning; the forms mean the same. Every byte it lists lies in [low, high), which
/// fits 64 bits and so does high - low.
struct Shape {
  kernels::Form form = kernels::Form::strided;
  std::int64_t bytes = 0;
  std::int64_t offset = 0;
  std::int64_t run = 0;
  std::int64_t nruns = 0;
  std::vector<kernels::Dim> dims;     ///< outermost first; no two of them can be merged
  std::shared_ptr<RunArrays> arrays;  ///< indexed, segments
  std::int64_t first_offset = 0;      ///< where the shape's part of arrays->offsets begins
  std::int64_t first_length = 0;      ///< segments: where its part of arrays->lengths begins
  std::int64_t low = 0, high = 0;

  bool empty() const noexcept { return nruns == 0; }
  bool is_run() const noexcept { return nruns == 1; }
  const std::int64_t* offsets() const noexcept { return arrays->offsets.get() + first_offset; }
  const std::int64_t* lengths() const noexcept { return arrays->lengths.get() + first_length; }
};

/// One run of `length` bytes at `offset`; empty where `length` is 0.
Shape make_run(std::int64_t offset, std::int64_t length);

/// `shape` moved by `by` bytes.
Shape shifted(Shape shape, std::int64_t by);

/// `count` copies of `shape`, `stride` bytes apart.
Shape repeated(const Shape& shape, std::int64_t count, std::int64_t stride);

/// A copy of `shape` at each of `places`, in order.
Shape placed(const Shape& shape, std::span<const std::int64_t> places);

/// A shape and how far to move it.
using Piece = std::pair<Shape, std::int64_t>;
/// All pieces, one after the other.
Shape concatenated(const std::vector<Piece>& pieces);

/// Calls visit(offset, length) for each run of a strided list, without its `offset`.
template <typename Visit>
void visit_strided(std::span<const kernels::Dim> dims, std::int64_t run, std::int64_t at, Visit& visit) {
  if (dims.empty()) {
    visit(at, run);
    return;
  }
  const auto [count, stride] = dims.front();
  for (std::int64_t i = 0; i < count; ++i) visit_strided(dims.subspan(1), run, at + i * stride, visit);
}

/// Calls visit(offset, length) for each run in order, moved by `by`. The caller has checked that the moved
/// shape fits 64 bits.
template <typename Visit>
void visit_runs(const Shape& shape, std::int64_t by, Visit&& visit) {
  const std::int64_t base = wrapping_add(by, shape.offset);
  if (shape.empty()) return;
  if (shape.form == kernels::Form::strided) {
    visit_strided(std::span(shape.dims), shape.run, base, visit);
    return;
  }
  const std::int64_t* offsets = shape.offsets();
  if (shape.form == kernels::Form::indexed) {
    for (std::int64_t i = 0; i < shape.nruns; ++i) visit(wrapping_add(base, offsets[i]), shape.run);
    return;
  }
  const std::int64_t* lengths = shape.lengths();
  for (std::int64_t i = 0; i < shape.nruns; ++i) visit(wrapping_add(base, offsets[i]), lengths[i]);
}

}  // namespace mpix::layout
