// SPDX-License-Identifier: BSD-3-Clause
/// Where runs lie: stepping through Blocks, and the places of a span of equal runs.
#pragma once

#include "kernels/blocks.hpp"
#include "kernels/host/move.hpp"

namespace mpix::kernels::host {

/// Rows one after another in contiguous memory. Unless it is kFar it is taken to be in the cache: nothing is
/// prefetched.
template <class Isa, bool kFar>
struct Flat {
  static constexpr bool kPrefetched = kFar;
  Address first;
  std::int64_t run;
  std::int64_t count;

  [[gnu::always_inline]] Address at(std::int64_t i) const {
    return first + static_cast<Address>(i) * static_cast<Address>(run);
  }
  Address ahead(std::int64_t i) const { return at(!kFar || i < count ? i : count - 1); }
  std::int64_t known() const { return kFar ? count : INT64_MAX; }
};

/// `count` rows a stride apart, the row after them at `next`.
template <class Isa>
struct Strided {
  static constexpr bool kPrefetched = true;
  Address first;
  std::int64_t stride;
  std::int64_t count;
  Address next;

  [[gnu::always_inline]] Address at(std::int64_t i) const {
    return first + static_cast<Address>(i) * static_cast<Address>(stride);
  }
  /// As at(), for any i: a place worth prefetching.
  [[gnu::always_inline]] Address ahead(std::int64_t i) const {
    return i < count ? at(i) : next + static_cast<Address>(i - count) * static_cast<Address>(stride);
  }
  std::int64_t known() const { return count; }
};

/// `count` rows by offset.
template <class Isa>
struct Indexed {
  static constexpr bool kPrefetched = true;
  Address base;
  const std::int64_t* offsets;
  std::int64_t count;

  [[gnu::always_inline]] Address at(std::int64_t i) const { return base + static_cast<Address>(offsets[i]); }
  [[gnu::always_inline]] Address ahead(std::int64_t i) const { return at(i < count ? i : count - 1); }
  std::int64_t known() const { return count; }
};

/// A walk over the runs of Blocks from a cursor's run on. Never reads the arrays outside [0, nruns).
template <class Isa>
class Walk {
 public:
  Walk(Address base, const Blocks& blocks, std::int64_t run)
      : blocks_(blocks), base_(base + static_cast<Address>(blocks.offset)), run_(run) {
    if (blocks.form == Form::strided) locate();
  }

  std::int64_t run() const { return run_; }
  /// Bytes of the current run.
  std::int64_t length() const { return blocks_.form == Form::segments ? blocks_.lengths[run_] : blocks_.run; }
  /// Address of the current run.
  Address place() const {
    return blocks_.form == Form::strided ? row_ : base_ + static_cast<Address>(blocks_.offsets[run_]);
  }
  bool strided() const { return blocks_.form == Form::strided; }
  bool uniform() const { return blocks_.form != Form::segments; }
  /// Runs from the current one on whose places `as_strided` or `as_indexed` gives.
  std::int64_t span() const { return strided() ? left_ : blocks_.nruns - run_; }
  Strided<Isa> as_strided() const { return {row_, inner_.stride, left_, next_row()}; }
  Indexed<Isa> as_indexed() const { return {base_, blocks_.offsets + run_, span()}; }

  /// Whether the dimension around the innermost goes to the neighbouring run.
  bool transposed() const {
    return strided() && blocks_.ndims >= 2 && blocks_.dims[blocks_.ndims - 2].stride == blocks_.run;
  }
  /// Runs of the innermost dimension where the walk is transposed and stands at their start; else 0.
  std::int64_t columns() const { return transposed() && left_ == inner_.count ? inner_.count : 0; }
  /// Where columns() > 0: repetitions of the innermost dimension until a further dimension steps.
  std::int64_t repetitions() const {
    const std::int32_t d = blocks_.ndims - 2;
    return blocks_.dims[d].count - index_[d];
  }
  /// Where columns() > 0: steps over `n` <= repetitions() times columns() runs.
  void repeat(std::int64_t n) {
    const std::int32_t d = blocks_.ndims - 2;
    run_ += (n - 1) * inner_.count;
    row_ += scaled(n - 1, blocks_.dims[d].stride);
    index_[d] += n - 1;
    advance(inner_.count);
  }

  /// Steps over `n` <= span() runs.
  void advance(std::int64_t n) {
    run_ += n;
    if (!strided()) return;
    left_ -= n;
    row_ += scaled(n, inner_.stride);
    if (left_ == 0) carry();
  }

 private:
  static Address scaled(std::int64_t n, std::int64_t stride) {
    return static_cast<Address>(n) * static_cast<Address>(stride);
  }

  void locate() {
    const std::int32_t ndims = blocks_.ndims;
    row_ = base_;
    if (ndims > 0) inner_ = blocks_.dims[ndims - 1];
    std::int64_t rest = run_;
    for (std::int32_t d = ndims - 1; d > 0; --d) {
      index_[d] = rest % blocks_.dims[d].count;
      rest /= blocks_.dims[d].count;
      row_ += scaled(index_[d], blocks_.dims[d].stride);
    }
    if (ndims > 0) row_ += scaled(rest, blocks_.dims[0].stride);
    index_[0] = rest;
    left_ = inner_.count - (ndims > 0 ? index_[ndims - 1] : 0);
  }

  /// Where the row after the innermost dimension's last lies.
  Address next_row() const {
    Address row = row_ - scaled(inner_.count - left_, inner_.stride);
    for (std::int32_t d = blocks_.ndims - 2; d >= 0; --d) {
      if (index_[d] + 1 < blocks_.dims[d].count) return row + scaled(1, blocks_.dims[d].stride);
      row -= scaled(index_[d], blocks_.dims[d].stride);
    }
    return row;
  }

  /// From the end of the innermost dimension to the start of its next repetition.
  void carry() {
    std::int32_t d = blocks_.ndims - 1;
    row_ -= scaled(inner_.count, inner_.stride);
    left_ = inner_.count;
    while (--d >= 0) {
      row_ += scaled(1, blocks_.dims[d].stride);
      if (++index_[d] < blocks_.dims[d].count) return;
      row_ -= scaled(blocks_.dims[d].count, blocks_.dims[d].stride);
      index_[d] = 0;
    }
  }

  const Blocks& blocks_;
  Address base_;
  std::int64_t run_;  ///< number of the current run
  Address row_ = 0;
  std::int64_t left_ = 0;
  Dim inner_{1, 0};
  std::int64_t index_[kMaxDims];
};

}  // namespace mpix::kernels::host
