// SPDX-License-Identifier: BSD-3-Clause
#include "layout/run_sink.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "base/status.hpp"
#include "base/text.hpp"

namespace mpix::layout {

using kernels::Dim;
using kernels::Form;

namespace {

constexpr std::int64_t kEntry = sizeof(std::int64_t);

/// Saves most of the page faults that filling a large array costs. A hint: nothing depends on it.
void prefer_large_pages(std::int64_t* array, std::int64_t entries) {
#ifdef MADV_HUGEPAGE
  constexpr std::uintptr_t kPage = std::uintptr_t{1} << 21;
  const std::uintptr_t begin = (reinterpret_cast<std::uintptr_t>(array) + kPage - 1) & ~(kPage - 1);
  const std::uintptr_t end = reinterpret_cast<std::uintptr_t>(array + entries) & ~(kPage - 1);
  if (begin < end) static_cast<void>(::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE));
#else
  static_cast<void>(array);
  static_cast<void>(entries);
#endif
}

/// An overcommitting system grants any amount and kills the process that touches it, hence the comparison
/// with what the machine has.
std::unique_ptr<std::int64_t[]> allocate(std::int64_t entries) {
  const auto pages = static_cast<std::int64_t>(::sysconf(_SC_PHYS_PAGES));
  const auto page = static_cast<std::int64_t>(::sysconf(_SC_PAGESIZE));
  if (pages <= 0 || page <= 0 || entries / (page / kEntry) < pages) {
    try {
      auto array = std::make_unique_for_overwrite<std::int64_t[]>(static_cast<std::size_t>(entries));
      prefer_large_pages(array.get(), entries);
      return array;
    } catch (const std::bad_alloc&) {  // reported below
    }
  }
  throw Error(Code::no_memory,
              text("a list of ", entries, " contiguous runs, 8 bytes each, does not fit memory"));
}

/// Keeps the first `used` of `capacity` entries; copies only where that gives back a fair part.
std::int64_t shrink(std::unique_ptr<std::int64_t[]>& array, std::int64_t used, std::int64_t capacity) {
  if (array == nullptr) return 0;
  if (used == 0) {
    array.reset();
    return 0;
  }
  if (used > capacity - capacity / 8) return capacity * kEntry;
  auto smaller = allocate(used);
  std::memcpy(smaller.get(), array.get(), static_cast<std::size_t>(used * kEntry));
  array = std::move(smaller);
  return used * kEntry;
}

}  // namespace

RunSink::RunSink(std::int64_t capacity) : capacity_(capacity), arrays_(std::make_shared<RunArrays>()) {
  arrays_->offsets = allocate(capacity);
  offsets_ = arrays_->offsets.get();
}

void RunSink::push(std::int64_t offset, std::int64_t length) {
  const std::int64_t end = add(offset, length);
  bytes_ = add(bytes_, length);
  if (n_ == 0) {
    run_ = length;
    low_ = offset;
    high_ = end;
  } else {
    low_ = std::min(low_, offset);
    high_ = std::max(high_, end);
    if (equal_runs() && length != run_) start_lengths();
    if (equal_runs()) {
      if (n_ == 1) step_ = wrapping_subtract(offset, last_);
      adjacent_ += offset == last_ + run_;
      regular_ = regular_ && offset == wrapping_add(last_, step_);
    } else if (offset == last_ + lengths_[n_ - 1]) {
      lengths_[n_ - 1] += length;
      return;
    }
  }
  if (!equal_runs()) lengths_[n_] = length;
  offsets_[n_++] = offset;
  last_ = offset;
}

void RunSink::append(const Shape& shape, std::int64_t by) {
  static_cast<void>(add(shape.low, by));
  static_cast<void>(add(shape.high, by));
  visit_runs(shape, by, [this](std::int64_t offset, std::int64_t length) { push(offset, length); });
}

/// Goes over to runs of different lengths: merges what there is.
void RunSink::start_lengths() {
  if (arrays_->lengths == nullptr) arrays_->lengths = allocate(capacity_);
  lengths_ = arrays_->lengths.get() + used_lengths_;
  std::int64_t merged = 0;
  for (std::int64_t i = 0; i < n_; ++i) {
    if (merged > 0 && offsets_[i] == offsets_[merged - 1] + lengths_[merged - 1]) {
      lengths_[merged - 1] += run_;
    } else {
      offsets_[merged] = offsets_[i];
      lengths_[merged++] = run_;
    }
  }
  n_ = merged;
  last_ = offsets_[merged - 1];
}

/// Length of every run once neighbours are merged, or 0 where these would differ.
std::int64_t RunSink::merged_run() const noexcept {
  std::int64_t common = 0, current = run_;
  for (std::int64_t i = 1; i <= n_; ++i) {
    if (i < n_ && offsets_[i] == offsets_[i - 1] + run_) {
      current += run_;
      continue;
    }
    if (common != 0 && current != common) return 0;
    common = current;
    current = run_;
  }
  return common;
}

Shape RunSink::take() {
  Shape shape = n_ == 0 ? Shape{} : equal_runs() ? take_equal() : take_segments();
  if (n_ > 0) {
    static_cast<void>(subtract(high_, low_));
    shape.low = low_;
    shape.high = high_;
    shape.bytes = bytes_;
  }
  lengths_ = nullptr;
  n_ = run_ = last_ = step_ = bytes_ = low_ = high_ = adjacent_ = 0;
  regular_ = true;
  return shape;
}

/// Takes the smallest of: a single run, strided, equal runs (merged, if they stay equal), merged segments.
Shape RunSink::take_equal() {
  if (adjacent_ == 0) return take_list(Form::indexed);
  const std::int64_t merged = n_ - adjacent_;
  const std::int64_t common = merged_run();
  if (common == 0 && 2 * merged >= n_) return take_list(Form::indexed);
  if (common == 0) {
    start_lengths();
    return take_list(Form::segments);
  }
  for (std::int64_t i = 0; i < merged; ++i) offsets_[i] = offsets_[i * (common / run_)];
  run_ = common;
  n_ = merged;
  return take_segments();
}

/// The runs are merged, in `offsets_`; their lengths are `run_`, or in `lengths_`.
Shape RunSink::take_segments() {
  if (!equal_runs()) {
    run_ = lengths_[0];
    if (!std::all_of(lengths_, lengths_ + n_, [this](std::int64_t length) { return length == run_; }))
      return take_list(Form::segments);
  }
  step_ = n_ > 1 ? wrapping_subtract(offsets_[1], offsets_[0]) : 0;
  regular_ = true;
  for (std::int64_t i = 1; regular_ && i < n_; ++i)
    regular_ = offsets_[i] == wrapping_add(offsets_[i - 1], step_);
  return take_list(Form::indexed);
}

Shape RunSink::take_list(Form form) {
  Shape shape;
  shape.nruns = n_;
  if (form == Form::indexed && (regular_ || n_ == 1)) {
    shape.offset = offsets_[0];
    shape.run = run_;
    if (n_ > 1) shape.dims.push_back(Dim{n_, step_});
    return shape;
  }
  shape.form = form;
  shape.arrays = arrays_;
  shape.first_offset = used_offsets_;
  used_offsets_ += n_;
  offsets_ += n_;
  if (form == Form::segments) {
    shape.first_length = used_lengths_;
    used_lengths_ += n_;
  } else {
    shape.run = run_;
  }
  return shape;
}

void RunSink::finish() {
  arrays_->bytes = shrink(arrays_->offsets, used_offsets_, capacity_);
  arrays_->bytes += shrink(arrays_->lengths, used_lengths_, capacity_);
}

}  // namespace mpix::layout
