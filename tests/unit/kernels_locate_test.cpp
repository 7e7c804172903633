// SPDX-License-Identifier: BSD-3-Clause
// Where the GPU's copy kernel looks for bytes: divisions, places of positions, rows of tiles, lists.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "tests/unit/kernels_device_support.hpp"

namespace mpix::kernels::device {
namespace {

TEST(DeviceLocate, Division) {
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
TEST(DeviceLocate, PlacesFarApart) {
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
  far.kernel_dims.assign(far.strided_dims);
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

TEST(DeviceLocate, Widths) {
  EXPECT_EQ(width_of(0), 16u);
  EXPECT_EQ(width_of(32), 16u);
  EXPECT_EQ(width_of(24), 8u);
  EXPECT_EQ(width_of(4096 | 4), 4u);
  EXPECT_EQ(width_of(6), 2u);
  EXPECT_EQ(width_of(17), 1u);
}

TEST(DeviceLocate, AlignmentJoinsWhatPlacesDependOn) {
  const std::vector<Dim> dims = {{3, 4096}, {2, -160}};
  const std::vector<std::int64_t> offsets = {64, 1024}, lengths = {32, 48};
  Blocks blocks;
  EXPECT_EQ(alignment_of(blocks), 0u);
  blocks = {.ndims = 2, .bytes = 96, .offset = 256, .run = 16, .nruns = 6, .dims = dims.data()};
  EXPECT_EQ(width_of(alignment_of(blocks)), 16u);
  const auto width_with = [&](auto change) {
    Blocks changed = blocks;
    change(changed);
    return width_of(alignment_of(changed));
  };
  const std::vector<Dim> odd_dims = {{3, 4096}, {2, -162}};
  EXPECT_EQ(width_with([&](Blocks& b) { b.dims = odd_dims.data(); }), 2u);
  EXPECT_EQ(width_with([](Blocks& b) { b.offset = -8; }), 8u);
  EXPECT_EQ(width_with([](Blocks& b) { b.run = 20; }), 4u);
  blocks = {
      .form = Form::segments, .bytes = 80, .nruns = 2, .offsets = offsets.data(), .lengths = lengths.data()};
  EXPECT_EQ(width_of(alignment_of(blocks)), 16u);
  const std::vector<std::int64_t> odd = {64, 1028};
  EXPECT_EQ(width_with([&](Blocks& b) { b.offsets = odd.data(); }), 4u);
  EXPECT_EQ(width_with([&](Blocks& b) { b.lengths = odd.data(); }), 4u);
  EXPECT_EQ(width_with([&](Blocks& b) { b.form = Form::indexed, b.run = 24; }), 8u);
}

TEST(DeviceLocate, ListsOfNoBytes) {
  const ListSizes sizes = list_sizes(Blocks{.form = Form::segments});
  EXPECT_EQ(sizes.dims + sizes.offsets + sizes.ends + sizes.coarse, 0);
  write_lists(Blocks{.form = Form::segments}, nullptr, nullptr, nullptr, nullptr);
}

/// An address that is never followed.
std::byte* far_base() {
  return reinterpret_cast<std::byte*>(std::uintptr_t{1} << 62);
}

/// Where the map has `position`, run by run, and how much of the run is left.
Place place_in(const ByteMap& map, std::int64_t position) {
  for (const test::Segment& segment : map) {
    if (position < segment.length) return {far_base() + segment.offset + position, segment.length - position};
    position -= segment.length;
  }
  return {nullptr, 0};
}

void expect_place(const View& view, const ByteMap& map, std::int64_t position) {
  const Place place = locate(view, position), expected = place_in(map, position);
  ASSERT_EQ(place.address, expected.address) << position;
  ASSERT_EQ(place.rest, expected.rest) << position;
}

/// Few long runs: lists of entries far behind 2^32.
void make_long_runs(Rng& rng, Form form, Listed& made) {
  made.blocks.form = form;
  made.blocks.nruns = 5;
  made.blocks.run = (std::int64_t{1} << 32) + 3;
  for (std::int64_t i = 0; i < made.blocks.nruns; ++i) {
    made.offsets.push_back((i * 3 % 5) << 40);
    made.lengths.push_back(form == Form::segments ? rng.between(1, std::int64_t{1} << 32) : made.blocks.run);
    made.map.push_back({made.offsets.back(), made.lengths.back()});
  }
  made.finish();
}

TEST(DeviceLocate, LongRuns) {
  Rng rng(base_seed());
  SCOPED_TRACE(testing::Message() << "MPIX_TEST_SEED=" << base_seed());
  for (const Form form : {Form::indexed, Form::segments}) {
    Listed made;
    make_long_runs(rng, form, made);
    const View view = made.view(far_base());
    std::int64_t end = 0;
    for (const test::Segment& segment : made.map) {
      ASSERT_NO_FATAL_FAILURE(expect_place(view, made.map, end));
      end += segment.length;
      ASSERT_NO_FATAL_FAILURE(expect_place(view, made.map, end - 1));
    }
    for (int i = 0; i < 1000; ++i)
      ASSERT_NO_FATAL_FAILURE(expect_place(view, made.map, rng.between(0, end - 1)));
  }
}

/// Every position of segments that end before, at and behind multiples of kCoarse.
TEST(DeviceLocate, SegmentsAroundCoarseEntries) {
  const std::vector<std::vector<std::int64_t>> lists = {
      {1},       {kCoarse - 1},       {kCoarse},       {kCoarse + 1},          {kCoarse - 1, 1},
      {1, 4095}, {kCoarse, kCoarse},  {kCoarse, 1},    {2 * kCoarse},          {3 * kCoarse - 1, 1, 1},
      {1, 8191}, {1, kCoarse, 4095},  {4095, 2, 4095}, {kCoarse, 1, 1, 1, 93}, {1, 3 * kCoarse, 1, 4094},
      {5, 5, 5}, {4000, 96, 96, 4000}};
  for (const auto& lengths : lists) {
    Listed made;
    made.blocks.form = Form::segments;
    made.blocks.nruns = std::ssize(lengths);
    made.lengths = lengths;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      made.offsets.push_back(static_cast<std::int64_t>(lengths.size() - i) * 100000);
      made.map.push_back({made.offsets[i], lengths[i]});
    }
    made.finish();
    ASSERT_EQ(std::count(made.coarse.begin(), made.coarse.end(), -1), 0) << "entries left unwritten";
    for (std::int64_t position = 0; position < made.blocks.bytes; position += kCoarse) {
      const std::int64_t run = made.coarse[static_cast<std::size_t>(position / kCoarse)];
      ASSERT_LE(run > 0 ? made.ends[static_cast<std::size_t>(run - 1)] : 0, position);
      ASSERT_GT(made.ends[static_cast<std::size_t>(run)], position);
    }
    for (std::int64_t position = 0; position < made.blocks.bytes; ++position)
      ASSERT_NO_FATAL_FAILURE(expect_place(made.view(far_base()), made.map, position));
  }
}

std::byte* address_in(const Rows& rows, std::int32_t at) {
  const std::uint32_t places[1] = {static_cast<std::uint32_t>(at)};
  std::byte* addresses[1];
  addresses_in(rows, places, addresses);
  return addresses[0];
}

/// Every byte of a tile, by its rows where there are such.
void expect_rows(const View& view, std::int64_t position, std::int32_t bytes, bool must) {
  Rows rows;
  const bool found = find_rows(view, position, bytes, rows);
  ASSERT_TRUE(found || !must);
  for (std::int32_t at = 0; found && at < bytes; ++at)
    ASSERT_EQ(address_in(rows, at), locate(view, position + at).address) << position << " + " << at;
}

TEST(DeviceLocate, RowsOfTiles) {
  Rng rng(base_seed());
  SCOPED_TRACE(testing::Message() << "MPIX_TEST_SEED=" << base_seed());
  for (int round = 0; round < 600; ++round) {
    Listed made;
    make_random(rng, std::int64_t{1} << rng.between(0, 4), rng.chance(50), made);
    const View view = made.view(far_base());
    const std::int64_t position = rng.between(0, made.blocks.bytes - 1);
    const std::int64_t left = made.blocks.bytes - position;
    const auto bytes = static_cast<std::int32_t>(std::min(rng.between(1, kTileBytes), left));
    const bool must = made.blocks.form == Form::indexed ||
                      (made.blocks.form == Form::strided && made.blocks.ndims <= 1) ||
                      (made.blocks.form == Form::strided && locate(view, position).rest >= bytes);
    ASSERT_NO_FATAL_FAILURE(expect_rows(view, position, bytes, must));
  }
}

/// Tiles that begin anywhere in runs of about a tile's length, and longer ones.
TEST(DeviceLocate, RowsOfLongRuns) {
  for (const std::int64_t run : {kTileBytes - 1, kTileBytes, kTileBytes + 1, 2 * kTileBytes + 5}) {
    Listed made;
    made.blocks = {.form = Form::indexed, .run = run, .nruns = 4};
    made.offsets = {200000, 0, 100000, 300000};
    for (const std::int64_t offset : made.offsets) made.map.push_back({offset, run});
    made.finish();
    for (std::int64_t position = 0; position < run; position += 1021)
      ASSERT_NO_FATAL_FAILURE(expect_rows(made.view(far_base()), position, kTileBytes, true));
    ASSERT_NO_FATAL_FAILURE(expect_rows(made.view(far_base()), run - 1, kTileBytes, true));
  }
}

/// Numbers of runs that exceed 32 bits, in dimensions whose strides are positive, negative and 0. A tile has
/// rows exactly where its runs do not leave the innermost dimension.
TEST(DeviceLocate, RowsOfManyRuns) {
  const std::vector<Dim> dims = {{1 << 20, std::int64_t{1} << 40}, {7000, 0}, {1000, -4096}};
  for (const std::int64_t run : {1, 3, 24, 100, 4000}) {
    Listed far;
    far.dims = dims;
    far.blocks = {.ndims = 3, .run = run, .nruns = 7000000LL << 20};
    far.blocks.dims = far.dims.data();
    far.blocks.bytes = far.blocks.nruns * run;
    far.strided_dims.resize(3);
    write_lists(far.blocks, far.strided_dims.data(), nullptr, nullptr, nullptr);
    far.kernel_dims.assign(far.strided_dims);
    const View view = far.view(far_base());
    Rng rng(base_seed());
    for (int i = 0; i < 40; ++i) {
      std::int64_t bytes = rng.between(1, kTileBytes);
      std::int64_t position = rng.between(0, far.blocks.bytes - bytes);
      if (rng.chance(50)) position = position / (1000 * run) * (1000 * run) + rng.between(0, 2) - 1;
      position = std::max<std::int64_t>(position, 0);
      if (rng.chance(30)) bytes = std::min(kTileBytes, 1000 * run - position % (1000 * run));
      const auto count = static_cast<std::int32_t>(bytes);
      const bool row = position / (1000 * run) == (position + bytes - 1) / (1000 * run);
      Rows rows;
      EXPECT_EQ(find_rows(view, position, count, rows), row || locate(view, position).rest >= bytes);
      ASSERT_NO_FATAL_FAILURE(expect_rows(view, position, count, row));
    }
  }
}

/// The same for a list, of which only the part that is read exists.
TEST(DeviceLocate, RowsOfLongLists) {
  const std::int64_t before = 5000000000;
  GuardedList<std::int64_t> part;
  std::vector<std::int64_t> offsets(700);
  for (std::size_t i = 0; i < offsets.size(); ++i) offsets[i] = static_cast<std::int64_t>(i * i) << 20;
  part.assign(offsets);
  View view{};
  view.base = far_base();
  view.form = Form::indexed;
  view.run = make_divisor(std::int64_t{24});
  view.offsets = reinterpret_cast<const std::int64_t*>(reinterpret_cast<std::uintptr_t>(part.data()) -
                                                       static_cast<std::uintptr_t>(before) * 8);
  view.nruns = before + std::ssize(offsets);
  expect_rows(view, before * 24, kTileBytes, true);
  expect_rows(view, view.nruns * 24 - kTileBytes, kTileBytes, true);  // ends with the list
}

/// What begins at an entry of the coarse list and ends no later than its run.
TEST(DeviceLocate, RowsInSegments) {
  Listed made;
  made.blocks = {.form = Form::segments, .nruns = 6};
  made.lengths = {kTileBytes, 2 * kTileBytes, 5, kTileBytes - 5, 3 * kTileBytes, kTileBytes + 1};
  for (std::size_t i = 0; i < made.lengths.size(); ++i) {
    made.offsets.push_back(static_cast<std::int64_t>(made.lengths.size() - i) * 100000);
    made.map.push_back({made.offsets[i], made.lengths[i]});
  }
  made.finish();
  const View view = made.view(far_base());
  for (std::int64_t position = 0; position < made.blocks.bytes; position += kCoarse) {
    const std::int64_t rest = locate(view, position).rest;
    const auto bytes = static_cast<std::int32_t>(std::min(rest, kTileBytes));
    ASSERT_NO_FATAL_FAILURE(expect_rows(view, position, bytes, true));
    Rows rows;
    if (position + rest == made.blocks.bytes || rest >= kTileBytes) continue;
    EXPECT_FALSE(find_rows(view, position, bytes + 1, rows)) << position;
  }
}

TEST(DeviceLocate, RowsAcrossTheEndOfALongRun) {
  Rng rng(base_seed());
  Listed made;
  make_long_runs(rng, Form::indexed, made);
  const View view = made.view(far_base());
  for (const std::int64_t before : {1, 5, 8192, 16383}) {
    const std::int64_t position = 3 * made.blocks.run - before;
    Rows rows;
    ASSERT_TRUE(find_rows(view, position, kTileBytes, rows));
    for (std::int32_t at = 0; at < kTileBytes; ++at)
      ASSERT_EQ(address_in(rows, at), place_in(made.map, position + at).address) << before << ", " << at;
  }
}

TEST(DeviceLocate, DivisionInTiles) {
  for (std::uint32_t run = 1; run <= kTileBytes; run += run < 300 ? 1 : 61) {
    const Divisor by = make_divisor(std::uint64_t{run});
    for (std::uint32_t number = 0; number < 2 * kTileBytes; ++number)
      ASSERT_EQ(divide_in_tile(2 * number, by.tile_magic), number / run) << number << " / " << run;
  }
  EXPECT_EQ(make_divisor(~std::uint64_t{0}).tile_magic, make_divisor(std::int64_t{kTileBytes}).tile_magic);
}

}  // namespace
}  // namespace mpix::kernels::device
