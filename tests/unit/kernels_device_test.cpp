// SPDX-License-Identifier: BSD-3-Clause
// The GPU's copy kernel on the host: every thread of every block, in any order, against maps of bytes.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <random>

#include "kernels/device/copy.hpp"
#include "kernels/device/lists.hpp"
#include "tests/support/byte_map.hpp"
#include "tests/support/rng.hpp"

namespace mpix::kernels::device {
namespace {

using test::ByteMap;
using test::Rng;

std::uint64_t base_seed() {
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
void make_indexed(Rng& rng, std::int64_t unit, Listed& made) {
  made.blocks.form = Form::indexed;
  made.blocks.run = unit * rng.between(1, rng.chance(50) ? 5 : 400);
  made.blocks.nruns = rng.between(1, 60);
  const std::int64_t step = made.blocks.run + unit * rng.between(0, 3);
  for (std::int64_t i = 0; i < made.blocks.nruns; ++i) made.offsets.push_back(i * step);
  rng.shuffle(made.offsets);
  for (const std::int64_t offset : made.offsets)
    made.map.push_back({made.blocks.offset + offset, made.blocks.run});
}

void make_segments(Rng& rng, std::int64_t unit, Listed& made) {
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

void make_strided(Rng& rng, std::int64_t unit, Listed& made) {
  made.blocks.form = Form::strided;
  made.blocks.run = unit * rng.between(1, rng.chance(50) ? 4 : 3000);
  made.blocks.ndims = static_cast<std::int32_t>(rng.between(0, 4));
  made.blocks.nruns = 1;
  std::int64_t extent = made.blocks.run;
  for (std::int32_t d = 0; d < made.blocks.ndims; ++d) {
    const Dim dim{rng.between(2, 4), extent + unit * rng.between(0, 3)};
    made.blocks.nruns *= dim.count;
    extent = dim.count * dim.stride;
    made.dims.push_back(dim);
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

void make_random(Rng& rng, std::int64_t unit, Listed& made) {
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

/// One job with its memory.
struct Case {
  Listed source, target;
  std::unique_ptr<Memory> from, to;
  std::vector<Piece> pieces;
  Job job{};
  std::vector<std::byte> expected;

  explicit Case(Rng& rng) {
    const std::int64_t unit = std::int64_t{1} << rng.between(0, 4);
    make_random(rng, unit, source);
    make_random(rng, unit, target);
    from = std::make_unique<Memory>(rng, test::range_of({source.map}).high + 64);
    to = std::make_unique<Memory>(rng, test::range_of({target.map}).high + 64);
    const std::int64_t shift = unit < 16 ? unit * rng.between(0, 3) : 0;
    const std::int64_t most = std::min(source.blocks.bytes, target.blocks.bytes) / unit;
    job.bytes = unit * rng.between(1, most);
    job.source_start = unit * rng.between(0, source.blocks.bytes / unit - job.bytes / unit);
    job.target_start = unit * rng.between(0, target.blocks.bytes / unit - job.bytes / unit);
    job.source = source.view(from->data() + shift);
    job.target = target.view(to->data() + shift);
    if (rng.chance(40)) cut(rng, unit);
    job.width = width_of(alignment_of(source.blocks) | alignment_of(target.blocks) |
                         static_cast<std::uint64_t>(job.bytes | job.source_start | job.target_start | shift) |
                         joined_pieces());
    expect(shift);
  }

 private:
  std::uint64_t joined_pieces() const {
    std::uint64_t joined = 0;
    for (const Piece& piece : pieces)
      joined |= static_cast<std::uint64_t>(piece.end | piece.source | piece.target);
    return joined;
  }
  /// Into pieces, which trade places on the target's side.
  void cut(Rng& rng, std::int64_t unit) {
    for (std::int64_t at = 0; at < job.bytes;) {
      const std::int64_t length = std::min(job.bytes - at, unit * rng.between(1, 300));
      pieces.push_back({at + length, at, at});
      at += length;
    }
    std::vector<std::size_t> order(pieces.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    rng.shuffle(order);
    std::int64_t next = 0;
    for (const std::size_t i : order) {
      pieces[i].target = next;
      next += pieces[i].end - pieces[i].source;
    }
    job.pieces = pieces.data();
    job.npieces = static_cast<std::int64_t>(pieces.size());
  }
  void expect(std::int64_t shift) {
    expected = to->bytes();
    std::vector<std::byte> stream, flat;
    test::pack(from->data() + shift, source.map, stream);
    test::pack(to->data() + shift, target.map, flat);
    std::vector<Piece> all = pieces;
    if (all.empty()) all.push_back({job.bytes, 0, 0});
    std::int64_t begin = 0;
    for (const Piece& piece : all) {
      std::copy_n(stream.begin() + job.source_start + piece.source, piece.end - begin,
                  flat.begin() + job.target_start + piece.target);
      begin = piece.end;
    }
    test::unpack(expected.data() + shift, target.map, flat);
  }
};

void run_all(Rng& rng, const Batch& batch, std::int64_t tiles) {
  std::vector<std::int64_t> threads(static_cast<std::size_t>(tiles * kThreads));
  std::iota(threads.begin(), threads.end(), std::int64_t{0});
  rng.shuffle(threads);
  for (const std::int64_t thread : threads)
    run_thread(batch, thread / kThreads, static_cast<int>(thread % kThreads));
}

TEST(DeviceKernel, EveryThreadOfRandomJobs) {
  Rng rng(base_seed());
  SCOPED_TRACE(testing::Message() << "MPIX_TEST_SEED=" << base_seed());
  for (int round = 0; round < 150; ++round) {
    std::vector<std::unique_ptr<Case>> cases;
    for (std::int64_t n = rng.between(1, rng.chance(80) ? 5 : 2 * kInlineJobs); n > 0; --n)
      cases.push_back(std::make_unique<Case>(rng));
    std::vector<Job> jobs;
    std::vector<std::int64_t> first_tile;
    std::int64_t tiles = 0;
    for (const auto& c : cases) {
      jobs.push_back(c->job);
      first_tile.push_back(tiles);
      tiles += tiles_of(c->job);
    }
    auto batch = std::make_unique<Batch>();
    batch->njobs = static_cast<std::int64_t>(jobs.size());
    if (jobs.size() > kInlineJobs || rng.chance(30)) {
      batch->jobs = jobs.data();
      batch->first_tile = first_tile.data();
    } else {
      std::copy(jobs.begin(), jobs.end(), batch->inline_jobs);
      std::copy(first_tile.begin(), first_tile.end(), batch->inline_first);
    }
    run_all(rng, *batch, tiles);
    for (const auto& c : cases) ASSERT_TRUE(c->to->bytes() == c->expected) << "width " << c->job.width;
  }
}

TEST(DeviceKernel, Division) {
  Rng rng(base_seed());
  SCOPED_TRACE(testing::Message() << "MPIX_TEST_SEED=" << base_seed());
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  std::vector<std::uint64_t> edges{1, 2, 3, 5, 6, 7, 10, 64, 100, 641, 14336, kMost, kMost - 1};
  for (int bit = 4; bit < 64; ++bit)
    for (const std::int64_t near : {-1, 0, 1})
      edges.push_back((std::uint64_t{1} << bit) + static_cast<std::uint64_t>(near));
  for (int i = 0; i < 200; ++i) edges.push_back((rng.bits() >> rng.between(0, 63)) | 1);
  for (const std::uint64_t divisor : edges) {
    const Divisor by = make_divisor(divisor);
    for (const std::uint64_t number : edges) {
      ASSERT_EQ(divide(number, by), number / divisor) << number << " / " << divisor;
      const std::uint64_t multiple = number / divisor * divisor;
      ASSERT_EQ(divide(multiple, by), number / divisor);
      ASSERT_EQ(divide(multiple - 1, by), (multiple - 1) / divisor);  // of 0: the largest number
    }
    ASSERT_EQ(divide(0, by), 0u);
  }
}

/// Positions beyond 2^32, in blocks that span more memory than there is.
TEST(DeviceKernel, PlacesFarApart) {
  Listed far;
  far.blocks.form = Form::strided;
  far.blocks.ndims = 3;
  far.blocks.run = 3000;
  far.dims = {{1 << 20, std::int64_t{1} << 40}, {1000, -(std::int64_t{1} << 25)}, {7, 4096}};
  far.blocks.nruns = std::int64_t{7000} << 20;
  far.blocks.dims = far.dims.data();
  far.blocks.bytes = far.blocks.nruns * far.blocks.run;
  far.strided_dims.resize(3);
  write_lists(far.blocks, far.strided_dims.data(), nullptr, nullptr, nullptr);
  std::byte* const base = reinterpret_cast<std::byte*>(std::uintptr_t{1} << 62);
  const View view = far.view(base);
  Rng rng(base_seed());
  for (int i = 0; i < 1000; ++i) {
    const std::int64_t position = rng.between(0, far.blocks.bytes - 1);
    const std::int64_t run = position / 3000, within = position % 3000;
    const std::int64_t offset =
        run / 7000 * (std::int64_t{1} << 40) - run / 7 % 1000 * (std::int64_t{1} << 25) + run % 7 * 4096;
    const Place place = locate(view, position);
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(place.address),
              reinterpret_cast<std::uintptr_t>(base) + static_cast<std::uintptr_t>(offset + within));
    ASSERT_EQ(place.rest, 3000 - within);
  }
}

TEST(DeviceKernel, Widths) {
  EXPECT_EQ(width_of(0), 16u);
  EXPECT_EQ(width_of(32), 16u);
  EXPECT_EQ(width_of(24), 8u);
  EXPECT_EQ(width_of(4096 | 4), 4u);
  EXPECT_EQ(width_of(6), 2u);
  EXPECT_EQ(width_of(17), 1u);
}

}  // namespace
}  // namespace mpix::kernels::device
