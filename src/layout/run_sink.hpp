// SPDX-License-Identifier: BSD-3-Clause
/// Turns runs that arrive one by one into shapes in canonical form: neighbours merged, arithmetic
/// progressions found, lengths stored only where they differ.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "layout/shape.hpp"

namespace mpix::layout {

/// Makes any number of shapes, all in the same arrays, which are allocated once.
class RunSink {
 public:
  /// `capacity`: most runs that will be pushed, over all shapes. Throws Error (no_memory).
  explicit RunSink(std::int64_t capacity);

  /// Adds a run to the current shape; `length` > 0.
  void push(std::int64_t offset, std::int64_t length);
  /// Adds all runs of `shape`, moved by `by`.
  void append(const Shape& shape, std::int64_t by);
  /// Starts a shape with runs of `length` bytes at index * stride + base for each of `indices`, 64-bit
  /// integers that are not empty.
  template <typename Index>
  void assign(std::span<const Index> indices, std::int64_t stride, std::int64_t base, std::int64_t length);

  /// Ends the current shape and starts the next.
  Shape take();
  /// Gives back memory that no shape uses. Nothing may be pushed afterwards.
  void finish();

 private:
  bool equal_runs() const noexcept { return lengths_ == nullptr; }
  void start_lengths();
  Shape take_equal();
  Shape take_segments();
  Shape take_list(kernels::Form form);
  std::int64_t merged_run() const noexcept;

  std::int64_t capacity_;
  std::shared_ptr<RunArrays> arrays_;
  std::int64_t used_offsets_ = 0, used_lengths_ = 0;  // by shapes that were taken

  // The current shape.
  std::int64_t* offsets_ = nullptr;
  std::int64_t* lengths_ = nullptr;  // null while all runs are `run_` long
  std::int64_t n_ = 0, run_ = 0, last_ = 0, step_ = 0, bytes_ = 0, low_ = 0, high_ = 0;
  std::int64_t adjacent_ = 0;  // runs that begin where the one before them ends; only while runs are equal
  bool regular_ = true;        // all steps are `step_`; only while runs are equal
};

template <typename Index>
void RunSink::assign(std::span<const Index> indices, std::int64_t stride, std::int64_t base,
                     std::int64_t length) {
  // One pass for all that take() needs to know; offsets may wrap round in it, which the bounds tell
  // afterwards.
  const std::int64_t step =
      indices.size() > 1 ? wrapping_multiply(stride, wrapping_subtract(indices[1], indices[0])) : 0;
  std::int64_t low = indices[0], high = indices[0], adjacent = 0;
  std::int64_t last = wrapping_subtract(wrapping_add(base, wrapping_multiply(indices[0], stride)), step);
  bool regular = true;
  std::int64_t* out = offsets_;
  for (const std::int64_t index : indices) {
    const std::int64_t offset = wrapping_add(base, wrapping_multiply(index, stride));
    low = std::min(low, index);
    high = std::max(high, index);
    adjacent += offset == wrapping_add(last, length);
    regular &= offset == wrapping_add(last, step);
    *out++ = offset;
    last = offset;
  }
  if (stride < 0) std::swap(low, high);
  low_ = add(base, multiply(low, stride));
  high_ = add(add(base, multiply(high, stride)), length);
  n_ = static_cast<std::int64_t>(indices.size());
  bytes_ = multiply(n_, length);
  run_ = length;
  last_ = last;
  step_ = step;
  regular_ = regular;
  adjacent_ = adjacent - (step == length);  // the first run has none before it
}

}  // namespace mpix::layout
