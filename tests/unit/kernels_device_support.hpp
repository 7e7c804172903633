// SPDX-License-Identifier: BSD-3-Clause
/// Random blocks with the lists that a kernel reads, and the oracle's idea of them.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#include "kernels/device/copy.hpp"
#include "kernels/device/lists.hpp"
#include "tests/support/byte_map.hpp"
#include "tests/support/rng.hpp"

namespace mpix::kernels::device {

using test::ByteMap;
using test::Rng;

/// MPIX_TEST_SEED, or a new seed where that is not set.
inline std::uint64_t base_seed() {
  const char* const value = std::getenv("MPIX_TEST_SEED");
  static const std::uint64_t seed =
      value != nullptr ? std::strtoull(value, nullptr, 0) : std::random_device()() % 1000000;
  return seed;
}

/// Under AddressSanitizer, makes accesses to some memory fail, and succeed again. Otherwise nothing.
inline void forbid([[maybe_unused]] const std::byte* memory, [[maybe_unused]] std::size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
  ASAN_POISON_MEMORY_REGION(memory, bytes);
#endif
}
inline void allow([[maybe_unused]] const std::byte* memory, [[maybe_unused]] std::size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
  ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
#endif
}

/// Memory that ends where nothing may be read, or begins so: the page before it and the page after it are not
/// mapped. Under AddressSanitizer, accesses to the rest of its own pages fail as well.
class Guarded {
 public:
  explicit Guarded(std::int64_t bytes, bool at_end = true) : bytes_(static_cast<std::size_t>(bytes)) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    room_ = (bytes_ + page - 1) / page * page;
    mapped_ = room_ + 2 * page;
    void* const all = mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) throw std::bad_alloc();
    begin_ = static_cast<std::byte*>(all);
    pages_ = begin_ + page;
    if (room_ > 0 && mprotect(pages_, room_, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
    data_ = at_end ? pages_ + (room_ - bytes_) : pages_;
    forbid(pages_, room_);
    allow(data_, bytes_);
  }
  Guarded(const Guarded&) = delete;
  ~Guarded() {
    allow(pages_, room_);
    munmap(begin_, mapped_);
  }
  std::byte* data() const { return data_; }
  std::size_t size() const { return bytes_; }

 private:
  std::size_t bytes_, room_ = 0, mapped_ = 0;
  std::byte *begin_ = nullptr, *pages_ = nullptr, *data_ = nullptr;
};

/// A list that a kernel must not read beyond.
template <typename T>
class GuardedList {
 public:
  void assign(const std::vector<T>& list) {
    memory_ = std::make_unique<Guarded>(std::ssize(list) * static_cast<std::int64_t>(sizeof(T)));
    if (!list.empty()) std::memcpy(memory_->data(), list.data(), memory_->size());
  }
  const T* data() const { return memory_ ? reinterpret_cast<const T*>(memory_->data()) : nullptr; }

 private:
  std::unique_ptr<Guarded> memory_;
};

/// Blocks of some form with their lists, and the oracle's idea of them. Places are multiples of `unit`.
struct Listed {
  Blocks blocks;
  ByteMap map;
  std::vector<Dim> dims;
  std::vector<std::int64_t> offsets, lengths;
  std::vector<StridedDim> strided_dims;
  std::vector<std::int64_t> copied_offsets, ends, coarse;
  GuardedList<StridedDim> kernel_dims;
  GuardedList<std::int64_t> kernel_offsets, kernel_ends, kernel_coarse;

  Listed() = default;
  Listed(const Listed&) = delete;

  void finish() {
    blocks.dims = dims.data();
    blocks.offsets = offsets.data();
    blocks.lengths = lengths.data();
    for (const test::Segment& segment : map) blocks.bytes += segment.length;
    const ListSizes sizes = list_sizes(blocks);
    strided_dims.resize(static_cast<std::size_t>(sizes.dims));
    copied_offsets.resize(static_cast<std::size_t>(sizes.offsets));
    ends.resize(static_cast<std::size_t>(sizes.ends));
    coarse.assign(static_cast<std::size_t>(sizes.coarse), -1);
    write_lists(blocks, strided_dims.data(), copied_offsets.data(), ends.data(), coarse.data());
    kernel_dims.assign(strided_dims);
    kernel_offsets.assign(copied_offsets);
    kernel_ends.assign(ends);
    kernel_coarse.assign(coarse);
  }
  View view(std::byte* base) const {
    View view{};
    view.base = base + blocks.offset;
    view.form = blocks.form;
    view.ndims = blocks.ndims;
    view.run = make_divisor(std::max<std::int64_t>(blocks.run, 1));
    view.dims = kernel_dims.data();
    view.offsets = kernel_offsets.data();
    view.ends = kernel_ends.data();
    view.coarse = kernel_coarse.data();
    view.nruns = blocks.nruns;
    return view;
  }
};

/// Runs of `run` bytes at a grid of places, which are shuffled: short and many, or some of any length, of
/// which a few exceed a tile. Where places may `recur`, some do.
inline void make_indexed(Rng& rng, std::int64_t unit, bool recur, Listed& made) {
  const bool many = rng.chance(30);
  made.blocks.form = Form::indexed;
  made.blocks.run = unit * rng.between(1, many ? 3 : rng.chance(50) ? 5 : rng.chance(80) ? 400 : 3000);
  made.blocks.nruns = rng.between(1, many ? 40000 / made.blocks.run : 60);
  const std::int64_t step = made.blocks.run + unit * rng.between(0, 3);
  for (std::int64_t i = 0; i < made.blocks.nruns; ++i) made.offsets.push_back(i * step);
  rng.shuffle(made.offsets);
  for (std::int64_t& offset : made.offsets)
    if (recur && rng.chance(10)) offset = made.offsets.front();
  for (const std::int64_t offset : made.offsets)
    made.map.push_back({made.blocks.offset + offset, made.blocks.run});
}

inline void make_segments(Rng& rng, std::int64_t unit, bool recur, Listed& made) {
  const bool many = rng.chance(20);
  made.blocks.form = Form::segments;
  made.blocks.nruns = rng.between(1, many ? 20000 / unit : 200);
  std::int64_t next = 0;
  for (std::int64_t i = 0; i < made.blocks.nruns; ++i) {
    const std::int64_t length = unit * rng.between(1, many ? 3 : rng.chance(80) ? 20 : 2000);
    made.offsets.push_back(recur && rng.chance(10) ? 0 : next);
    made.lengths.push_back(length);
    next += length + unit * rng.between(0, 3);
  }
  for (std::size_t i = 0; i < made.offsets.size(); ++i)
    made.map.push_back({made.blocks.offset + made.offsets[i], made.lengths[i]});
}

/// Dimensions around one run, outermost first in any order of their strides, of which some are negative
/// or, where places may `recur`, 0.
inline void make_strided(Rng& rng, std::int64_t unit, bool recur, Listed& made) {
  const bool small = rng.chance(50);
  made.blocks.form = Form::strided;
  made.blocks.run = unit * rng.between(1, small ? 4 : 3000);
  made.blocks.ndims = static_cast<std::int32_t>(rng.between(0, 4));
  made.blocks.nruns = 1;
  std::int64_t extent = made.blocks.run;
  for (std::int32_t d = 0; d < made.blocks.ndims; ++d) {
    const std::int64_t count = rng.between(2, small && made.blocks.nruns < 64 ? 40 : 4);
    const Dim dim{count, extent + unit * rng.between(0, 3)};
    made.blocks.nruns *= count;
    if (recur && rng.chance(20)) {
      made.dims.push_back({count, 0});
      continue;
    }
    extent = count * dim.stride;
    made.dims.push_back(dim);
    if (rng.chance(75)) continue;
    made.dims.back().stride = -dim.stride;
    made.blocks.offset += (count - 1) * dim.stride;
  }
  rng.shuffle(made.dims);
  for (std::int64_t run = 0; run < made.blocks.nruns; ++run) {
    std::int64_t offset = made.blocks.offset;
    for (std::int64_t rest = run, d = made.blocks.ndims - 1; d >= 0; --d) {
      const Dim& dim = made.dims[static_cast<std::size_t>(d)];
      offset += rest % dim.count * dim.stride;
      rest /= dim.count;
    }
    made.map.push_back({offset, made.blocks.run});
  }
}

/// `recur`: places may be listed more than once, as those of a source may.
inline void make_random(Rng& rng, std::int64_t unit, bool recur, Listed& made) {
  made.blocks.offset = unit * rng.between(0, 20);
  const std::array makers{make_indexed, make_segments, make_strided};
  makers[static_cast<std::size_t>(rng.index(makers.size()))](rng, unit, recur, made);
  made.finish();
}

/// Guarded memory of blocks, with random bytes. It ends with the last of the blocks or begins with the first.
class Memory {
 public:
  Memory(Rng& rng, const ByteMap& map)
      : map_(map), range_(test::range_of({map})), memory_(range_.high - range_.low, rng.chance(50)) {
    for (std::size_t i = 0; i < memory_.size(); ++i)
      memory_.data()[i] = static_cast<std::byte>(rng.bits() & 255);
  }
  /// Where the blocks' offsets count from.
  std::byte* base() const { return base_of(memory_.data()); }
  /// The same in a copy of all bytes.
  std::byte* base_of(std::byte* copy) const { return copy - range_.low; }
  std::byte* data() const { return memory_.data(); }
  std::vector<std::byte> bytes() const { return {data(), data() + memory_.size()}; }

  /// From here on, under AddressSanitizer, what lies between the blocks is as if it were not mapped.
  void close() const {
    forbid(data(), memory_.size());
    for (const test::Segment& segment : map_)
      allow(base() + segment.offset, static_cast<std::size_t>(segment.length));
  }
  void open() const { allow(data(), memory_.size()); }

 private:
  const ByteMap& map_;
  test::Range range_;
  Guarded memory_;
};

}  // namespace mpix::kernels::device
