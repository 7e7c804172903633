// SPDX-License-Identifier: BSD-3-Clause
/// Random blocks with the lists that a kernel reads, and the oracle's idea of them.
#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <vector>

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

/// Blocks of some form with their lists, and the oracle's idea of them. Places are multiples of `unit`.
struct Listed {
  Blocks blocks;
  ByteMap map;
  std::vector<Dim> dims;
  std::vector<std::int64_t> offsets, lengths;
  std::vector<StridedDim> strided_dims;
  std::vector<std::int64_t> copied_offsets, ends, coarse;

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
  }
  View view(std::byte* base) const {
    View view{};
    view.base = base + blocks.offset;
    view.form = blocks.form;
    view.ndims = blocks.ndims;
    view.run = make_divisor(std::max<std::int64_t>(blocks.run, 1));
    view.dims = strided_dims.data();
    view.offsets = copied_offsets.data();
    view.ends = ends.data();
    view.coarse = coarse.data();
    view.nruns = blocks.nruns;
    return view;
  }
};

/// Runs of `run` bytes at a grid of places, which are shuffled.
inline void make_indexed(Rng& rng, std::int64_t unit, Listed& made) {
  made.blocks.form = Form::indexed;
  made.blocks.run = unit * rng.between(1, rng.chance(50) ? 5 : 400);
  made.blocks.nruns = rng.between(1, 60);
  const std::int64_t step = made.blocks.run + unit * rng.between(0, 3);
  for (std::int64_t i = 0; i < made.blocks.nruns; ++i) made.offsets.push_back(i * step);
  rng.shuffle(made.offsets);
  for (const std::int64_t offset : made.offsets)
    made.map.push_back({made.blocks.offset + offset, made.blocks.run});
}

inline void make_segments(Rng& rng, std::int64_t unit, Listed& made) {
  made.blocks.form = Form::segments;
  made.blocks.nruns = rng.between(1, 200);
  std::int64_t next = 0;
  for (std::int64_t i = 0; i < made.blocks.nruns; ++i) {
    const std::int64_t length = unit * rng.between(1, rng.chance(80) ? 20 : 2000);
    made.offsets.push_back(next);
    made.lengths.push_back(length);
    next += length + unit * rng.between(0, 3);
  }
  for (std::size_t i = 0; i < made.offsets.size(); ++i)
    made.map.push_back({made.blocks.offset + made.offsets[i], made.lengths[i]});
}

/// Dimensions around one run, outermost first in any order of their strides, of which some are negative.
inline void make_strided(Rng& rng, std::int64_t unit, Listed& made) {
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

inline void make_random(Rng& rng, std::int64_t unit, Listed& made) {
  made.blocks.offset = unit * rng.between(0, 20);
  const std::array makers{make_indexed, make_segments, make_strided};
  makers[static_cast<std::size_t>(rng.index(makers.size()))](rng, unit, made);
  made.finish();
}

/// Memory that begins at a multiple of 16.
class Memory {
 public:
  Memory(Rng& rng, std::int64_t bytes) : words_(static_cast<std::size_t>(bytes / 16 + 2)) {
    for (Word<16>& word : words_)
      for (std::uint32_t& part : word.parts) part = static_cast<std::uint32_t>(rng.bits());
  }
  std::byte* data() { return reinterpret_cast<std::byte*>(words_.data()); }
  std::vector<std::byte> bytes() { return {data(), data() + 16 * words_.size()}; }

 private:
  std::vector<Word<16>> words_;
};

}  // namespace mpix::kernels::device
