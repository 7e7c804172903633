// SPDX-License-Identifier: BSD-3-Clause
/// Tables of nodes, and what a rank sends to a node: every byte of every receiver once, from where it
/// belongs, and equal ranges listed once. The oracle lists the source of each byte of each receiver's stream.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "base/status.hpp"
#include "plan/node_send.hpp"
#include "plan/nodes.hpp"
#include "tests/support/byte_map.hpp"
#include "tests/support/rng.hpp"
#include "tests/unit/node_plan_support.hpp"

namespace mpix::plan {
namespace {

using kernels::Blocks;
using kernels::Dim;
using kernels::Form;
using test::ByteMap;
using test::Rng;

/// One receiver's blocks, and separately the source of every byte of its stream.
struct Receiver {
  std::int32_t local = 0;
  Blocks blocks;
  std::vector<Dim> dims;
  std::vector<std::int64_t> offsets, lengths;
  std::vector<std::int64_t> sources;

  void add(std::int64_t offset, std::int64_t length) {
    for (std::int64_t i = 0; i < length; ++i) sources.push_back(offset + i);
  }
};

using Receivers = std::vector<std::unique_ptr<Receiver>>;

std::unique_ptr<Receiver> segments(std::int32_t local, const ByteMap& map, std::int64_t base = 0) {
  auto r = std::make_unique<Receiver>();
  r->local = local;
  for (const test::Segment& s : map) {
    r->offsets.push_back(s.offset);
    r->lengths.push_back(s.length);
    r->add(base + s.offset, s.length);
  }
  r->blocks.form = Form::segments;
  r->blocks.offset = base;
  r->blocks.nruns = static_cast<std::int64_t>(map.size());
  r->blocks.bytes = static_cast<std::int64_t>(r->sources.size());
  r->blocks.offsets = r->offsets.data();
  r->blocks.lengths = r->lengths.data();
  return r;
}

std::unique_ptr<Receiver> indexed(std::int32_t local, std::int64_t row,
                                  const std::vector<std::int64_t>& offsets, std::int64_t base = 0) {
  auto r = std::make_unique<Receiver>();
  r->local = local;
  r->offsets = offsets;
  for (const std::int64_t offset : offsets) r->add(base + offset, row);
  r->blocks.form = Form::indexed;
  r->blocks.offset = base;
  r->blocks.run = row;
  r->blocks.nruns = static_cast<std::int64_t>(offsets.size());
  r->blocks.bytes = static_cast<std::int64_t>(r->sources.size());
  r->blocks.offsets = r->offsets.data();
  return r;
}

void add_nest(Receiver& r, std::int64_t offset, std::size_t dim) {
  if (dim == r.dims.size()) return r.add(offset, r.blocks.run);
  for (std::int64_t i = 0; i < r.dims[dim].count; ++i) add_nest(r, offset + i * r.dims[dim].stride, dim + 1);
}

std::unique_ptr<Receiver> strided(std::int32_t local, std::int64_t row, std::vector<Dim> dims,
                                  std::int64_t base = 0) {
  auto r = std::make_unique<Receiver>();
  r->local = local;
  r->dims = std::move(dims);
  r->blocks.offset = base;
  r->blocks.run = row;
  r->blocks.nruns = 1;
  for (const Dim& dim : r->dims) r->blocks.nruns *= dim.count;
  add_nest(*r, base, 0);
  r->blocks.bytes = static_cast<std::int64_t>(r->sources.size());
  r->blocks.ndims = static_cast<std::int32_t>(r->dims.size());
  r->blocks.dims = r->dims.data();
  return r;
}

std::vector<NodePart> parts_of(const Receivers& receivers) {
  std::vector<NodePart> parts;
  for (const auto& r : receivers) parts.push_back({r->local, &r->blocks});
  return parts;
}

/// The number of bytes of the buffer that any receiver gets.
std::int64_t distinct_bytes(const Receivers& receivers) {
  std::set<std::int64_t> bytes;
  for (const auto& r : receivers) bytes.insert(r->sources.begin(), r->sources.end());
  return static_cast<std::int64_t>(bytes.size());
}

/// Ranges are consistent with each other, and distinct.
void expect_sound(const NodeSend& send) {
  const std::size_t n = send.offsets.size();
  ASSERT_EQ(send.lengths.size(), n);
  ASSERT_EQ(send.first.size(), n + 1);
  EXPECT_EQ(send.first.front(), 0);
  EXPECT_EQ(send.first.back(), static_cast<std::int64_t>(send.deliveries.size()));
  std::set<std::pair<std::int64_t, std::int64_t>> seen;
  std::int64_t unique = 0, total = 0;
  for (std::size_t i = 0; i < n; ++i) {
    EXPECT_GT(send.lengths[i], 0);
    EXPECT_LT(send.first[i], send.first[i + 1]) << "a range that nobody gets";
    EXPECT_TRUE(seen.emplace(send.offsets[i], send.lengths[i]).second) << "listed twice: " << send.offsets[i];
    unique += send.lengths[i];
    total += send.lengths[i] * (send.first[i + 1] - send.first[i]);
  }
  EXPECT_EQ(send.unique_bytes, unique);
  EXPECT_EQ(send.total_bytes, total);
  const bool uniform =
      std::all_of(send.lengths.begin(), send.lengths.end(), [&](auto l) { return l == send.lengths[0]; });
  const Blocks blocks = send.blocks();
  EXPECT_EQ(blocks.form, uniform && n > 0 ? Form::indexed : Form::segments);
  EXPECT_EQ(blocks.run, uniform && n > 0 ? send.lengths[0] : 0);
  EXPECT_EQ(blocks.offset, 0);
  EXPECT_EQ(blocks.bytes, unique);
  EXPECT_EQ(blocks.nruns, static_cast<std::int64_t>(n));
  EXPECT_EQ(blocks.offsets, send.offsets.data());
  EXPECT_EQ(blocks.lengths, uniform && n > 0 ? nullptr : send.lengths.data());
}

/// Every byte of every receiver's stream is delivered once, from its source.
void expect_delivered(const NodeSend& send, const Receivers& receivers) {
  constexpr std::int64_t kNothing = std::numeric_limits<std::int64_t>::min();
  std::map<std::int32_t, std::vector<std::int64_t>> streams;
  for (const auto& r : receivers) streams[r->local].assign(r->sources.size(), kNothing);
  for (std::size_t i = 0; i < send.offsets.size(); ++i) {
    for (auto d = static_cast<std::size_t>(send.first[i]); d < static_cast<std::size_t>(send.first[i + 1]);
         ++d) {
      const Delivery& to = send.deliveries[d];
      ASSERT_TRUE(streams.count(to.local)) << "no such receiver: " << to.local;
      auto& stream = streams[to.local];
      ASSERT_GE(to.offset, 0);
      ASSERT_LE(to.offset + send.lengths[i], static_cast<std::int64_t>(stream.size()));
      for (std::int64_t b = 0; b < send.lengths[i]; ++b) {
        std::int64_t& at = stream[static_cast<std::size_t>(to.offset + b)];
        ASSERT_EQ(at, kNothing) << "delivered twice to " << to.local << ": byte " << to.offset + b;
        at = send.offsets[i] + b;
      }
    }
  }
  for (const auto& r : receivers) EXPECT_EQ(streams[r->local], r->sources) << "receiver " << r->local;
}

NodeSend checked(const Receivers& receivers, NodeSendScratch& scratch) {
  NodeSend send = make_node_send(parts_of(receivers), scratch);
  expect_sound(send);
  expect_delivered(send, receivers);
  return send;
}

NodeSend checked(const Receivers& receivers) {
  NodeSendScratch scratch;
  return checked(receivers, scratch);
}

template <typename... R>
Receivers list(R... receivers) {
  Receivers all;
  (all.push_back(std::move(receivers)), ...);
  return all;
}

TEST(NodeSend, NothingToSend) {
  const NodeSend none = make_node_send({});
  expect_sound(none);
  EXPECT_EQ(none.total_bytes, 0);
  const Blocks empty;
  const std::vector<NodePart> parts{{0, nullptr}, {1, &empty}};
  EXPECT_FALSE(may_repeat(parts));
  expect_sound(make_node_send(parts));
}

TEST(NodeSend, OrderIsThatOfFirstAppearance) {
  const NodeSend send = checked(
      list(indexed(3, 8, {40, 0, 40}), segments(1, {{0, 8}, {96, 5}}), strided(0, 8, {{2, -16}}, 16)));
  EXPECT_EQ(send.offsets, (std::vector<std::int64_t>{40, 0, 96, 16}));
  EXPECT_EQ(send.lengths, (std::vector<std::int64_t>{8, 8, 5, 8}));
  EXPECT_EQ(send.first, (std::vector<std::int64_t>{0, 2, 5, 6, 7}));
  const std::vector<std::pair<std::int32_t, std::int64_t>> wanted{{3, 0}, {3, 16}, {3, 8}, {1, 0},
                                                                  {0, 8}, {1, 8},  {0, 0}};
  ASSERT_EQ(send.deliveries.size(), wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(send.deliveries[i].local, wanted[i].first) << i;
    EXPECT_EQ(send.deliveries[i].offset, wanted[i].second) << i;
  }
  EXPECT_EQ(send.unique_bytes, 29);
  EXPECT_EQ(send.total_bytes, 53);
}

TEST(NodeSend, RowOfOneReceiverInSeveralPlaces) {
  const NodeSend send = checked(list(strided(5, 100, {{3, 500}, {4, 0}}, 7)));
  EXPECT_EQ(send.offsets.size(), 3U);
  EXPECT_EQ(send.total_bytes, 4 * send.unique_bytes);
}

TEST(NodeSend, SmallOverlapsStaySeparate) {
  const NodeSend send = checked(list(segments(0, {{0, 100}}), segments(1, {{90, 100}})));
  EXPECT_EQ(send.offsets.size(), 2U);
  EXPECT_EQ(send.unique_bytes, 200);
}

TEST(NodeSend, LargeOverlapsAreCut) {
  const NodeSend send = checked(
      list(segments(0, {{0, 4000}}), segments(1, {{1000, 4000}, {0, 1000}}), segments(2, {{0, 4000}})));
  EXPECT_EQ(send.unique_bytes, 5000);
  EXPECT_EQ(send.offsets, (std::vector<std::int64_t>{0, 1000, 4000}));
  EXPECT_EQ(checked(list(indexed(0, 4000, {0, 1000}))).unique_bytes, 5000);  // of equal length
}

/// Neighbouring rows are one run where a layout holds most rows of a table: they still match others' single
/// rows.
TEST(NodeSend, JoinedRowsMatchSingleOnes) {
  const NodeSend send =
      checked(list(strided(0, 64 * 512, {}, 4096), indexed(1, 512, {4096, 8192, 4096 + 63 * 512})));
  EXPECT_EQ(send.unique_bytes, 64 * 512);
}

TEST(NodeSend, EqualPlacesOfDifferentLengths) {
  const NodeSend send =
      checked(list(segments(0, {{0, 16}, {0, 24}, {0, 16}}), segments(1, {{8, 16}, {0, 24}})));
  EXPECT_EQ(send.offsets.size(), 3U);
}

TEST(NodeSend, ScratchOfALargeNodeServesSmallOnes) {
  NodeSendScratch scratch;
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < 5000; ++i) rows.push_back(i * 37 % 4000 * 16);
  EXPECT_EQ(checked(list(indexed(0, 16, rows)), scratch).unique_bytes,
            distinct_bytes(list(indexed(0, 16, rows))));
  EXPECT_EQ(checked(list(indexed(0, 16, {32, 0, 32})), scratch).unique_bytes, 32);
  EXPECT_EQ(checked(list(segments(0, {{0, 4000}, {0, 2000}})), scratch).unique_bytes, 4000);
  EXPECT_EQ(checked(list(indexed(0, 16, rows)), scratch).unique_bytes,
            distinct_bytes(list(indexed(0, 16, rows))));
}

TEST(NodeSend, SampledRepetition) {
  test::Rng rng(base_seed());
  SCOPED_TRACE(testing::Message() << "MPIX_TEST_SEED=" << base_seed());
  for (const std::int64_t runs : {10, 1000, 100000})
    for (const std::int64_t times : {1, 2, 5}) {
      std::vector<std::int64_t> offsets;
      for (std::int64_t i = 0; i < runs; ++i) offsets.push_back(i % (runs / times) * 96);
      rng.shuffle(offsets);
      Blocks blocks;
      blocks.form = Form::indexed;
      blocks.run = 96;
      blocks.nruns = runs;
      blocks.bytes = runs * 96;
      blocks.offsets = offsets.data();
      EXPECT_DOUBLE_EQ(sampled_repetition(blocks), static_cast<double>(times)) << runs;
    }
}

TEST(NodeSend, MayRepeat) {
  const auto answer = [](const Receivers& receivers) { return may_repeat(parts_of(receivers)); };
  EXPECT_FALSE(answer(list(strided(0, 8, {{4, 16}}))));
  EXPECT_FALSE(answer(list(strided(0, 8, {{4, -8}}))));
  EXPECT_TRUE(answer(list(strided(0, 8, {{4, 0}}))));
  EXPECT_TRUE(answer(list(strided(0, 8, {{4, 16}, {2, -7}}))));
  EXPECT_TRUE(answer(list(strided(0, 8, {{4, 16}}), strided(1, 8, {}))));
  EXPECT_TRUE(answer(list(indexed(0, 8, {0, 8}))));
  EXPECT_TRUE(answer(list(segments(0, {{0, 1}, {0, 2}}))));

  const Dim dim{kMaxStridedRuns + 1, 16};
  Blocks many;
  many.ndims = 1;
  many.dims = &dim;
  many.nruns = dim.count;
  many.run = 8;
  many.bytes = 8 * dim.count;
  EXPECT_FALSE(may_repeat(std::vector<NodePart>{{0, &many}, {1, &many}}));
  many.form = Form::indexed;
  EXPECT_TRUE(may_repeat(std::vector<NodePart>{{0, &many}}));
  many.nruns = kMaxRuns + 1;
  EXPECT_FALSE(may_repeat(std::vector<NodePart>{{0, &many}}));
  EXPECT_THROW(make_node_send(std::vector<NodePart>{{0, &many}}), Error);
  many.nruns = kMaxRuns / 2 + 1;
  EXPECT_FALSE(may_repeat(std::vector<NodePart>{{0, &many}, {1, &many}}));
}

std::unique_ptr<Receiver> random_strided(std::int32_t local, std::int64_t row, Rng& rng) {
  std::vector<Dim> dims(static_cast<std::size_t>(rng.between(0, 3)));
  for (Dim& dim : dims) {
    dim.count = rng.between(2, 4);
    dim.stride = rng.chance(70) ? rng.between(-8, 8) * row : rng.between(-3 * row, 3 * row);
  }
  return strided(local, row, dims, rng.between(-10, 30) * row);
}

/// Places from a small table, so that receivers have many in common.
std::unique_ptr<Receiver> random_receiver(std::int32_t local, std::int64_t row, Rng& rng) {
  const auto count = rng.between(0, 40);
  const std::int64_t base = rng.chance(50) ? 0 : rng.between(-4, 4) * row;
  if (count == 0) return segments(local, {});
  if (rng.chance(30)) return random_strided(local, row, rng);
  if (rng.chance(50)) {
    std::vector<std::int64_t> offsets;
    const bool grid = rng.chance(80);
    for (std::int64_t i = 0; i < count; ++i)
      offsets.push_back(grid ? rng.between(-20, 30) * row : rng.between(-20 * row, 30 * row));
    return indexed(local, row, offsets, base);
  }
  ByteMap map;
  for (std::int64_t i = 0; i < count; ++i)
    map.push_back({rng.between(-20, 30) * row, rng.chance(60) ? row : rng.between(1, 4 * row)});
  return segments(local, map, base);
}

TEST(NodeSend, RandomLayouts) {
  NodeSendScratch scratch;
  int repeated = 0, cut = 0;
  for (std::uint64_t round = 0; round < 600; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    Rng rng(test::mix(base_seed(), round));
    const std::int64_t row = rng.pick(std::vector<std::int64_t>{1, 7, 64, 200});
    std::vector<std::int32_t> locals{0, 1, 2, 3, 5, 8, 63};
    rng.shuffle(locals);
    Receivers receivers;
    for (std::int64_t i = rng.between(1, 7); i > 0; --i)
      receivers.push_back(random_receiver(locals[static_cast<std::size_t>(i - 1)], row, rng));
    const NodeSend send = checked(receivers, scratch);
    const std::int64_t distinct = distinct_bytes(receivers);
    EXPECT_GE(send.unique_bytes, distinct);
    repeated += send.unique_bytes < send.total_bytes;
    std::set<std::pair<std::int64_t, std::int64_t>> runs;
    std::int64_t listed = 0;
    for (const auto& r : receivers) listed += r->blocks.nruns;
    if (static_cast<std::int64_t>(send.deliveries.size()) > listed) {
      ++cut;
      EXPECT_EQ(send.unique_bytes, distinct) << "cut, and something is still listed twice";
    }
    if (!may_repeat(parts_of(receivers))) {
      EXPECT_LE(receivers.size() - static_cast<std::size_t>(
                                       std::count_if(receivers.begin(), receivers.end(),
                                                     [](const auto& r) { return r->blocks.bytes == 0; })),
                1U);
    }
    if (HasFailure()) return;
  }
  EXPECT_GT(repeated, 100);
  EXPECT_GT(cut, 20);
}

/// Rows of one table, long enough for every cut to pay: nothing is listed twice, whatever the receivers'
/// forms.
TEST(NodeSend, RandomRowsOfOneTable) {
  for (std::uint64_t round = 0; round < 300; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    Rng rng(test::mix(base_seed(), 7000 + round));
    const std::int64_t row = rng.between(330, 500);
    const std::int64_t table = rng.between(1, 60);
    Receivers receivers;
    for (std::int32_t local = 0; local < rng.between(1, 6); ++local) {
      const int wanted = static_cast<int>(rng.between(1, 99));
      ByteMap joined;
      std::vector<std::int64_t> rows;
      for (std::int64_t i = 0; i < table; ++i) {
        if (!rng.chance(wanted)) continue;
        test::append(joined, {i * row, row});
        for (int again = rng.chance(20) ? 2 : 1; again > 0; --again) rows.push_back(i * row);
      }
      receivers.push_back(rng.chance(50) ? segments(local, joined) : indexed(local, row, rows));
    }
    const NodeSend send = checked(receivers);
    EXPECT_EQ(send.unique_bytes, distinct_bytes(receivers));
    if (HasFailure()) return;
  }
}

TEST(NodeMap, NumbersByFirstAppearance) {
  const NodeMap map(std::vector<int>{70, -3, 70, 0, -3, 70});
  EXPECT_EQ(map.nranks(), 6);
  ASSERT_EQ(map.nodes(), 3);
  EXPECT_TRUE(std::ranges::equal(map.ranks(0), std::vector<int>{0, 2, 5}));
  EXPECT_TRUE(std::ranges::equal(map.ranks(1), std::vector<int>{1, 4}));
  EXPECT_TRUE(std::ranges::equal(map.ranks(2), std::vector<int>{3}));
  EXPECT_EQ(map.node_of(4), 1);
  EXPECT_EQ(map.local_of(4), 1);
  EXPECT_EQ(map.local_of(3), 0);
  EXPECT_EQ(NodeMap().nodes(), 0);
  EXPECT_EQ(NodeMap(std::vector<int>{}).nodes(), 0);
}

TEST(NodeMap, RandomTopologies) {
  for (std::uint64_t round = 0; round < 200; ++round) {
    Rng rng(test::mix(base_seed(), 9000 + round));
    const std::int64_t ranks = rng.magnitude(600);
    const std::int64_t spread = rng.magnitude(700);
    std::vector<int> numbers;
    for (std::int64_t r = 0; r < ranks; ++r)
      numbers.push_back(!numbers.empty() && rng.chance(60) ? numbers.back()
                                                           : static_cast<int>(rng.between(-spread, spread)));
    const NodeMap map(numbers);
    std::map<int, std::vector<int>> nodes;
    for (int r = 0; r < static_cast<int>(ranks); ++r)
      nodes[numbers[static_cast<std::size_t>(r)]].push_back(r);
    ASSERT_EQ(map.nodes(), static_cast<int>(nodes.size()));
    int last_first = -1;
    for (int n = 0; n < map.nodes(); ++n) {
      ASSERT_FALSE(map.ranks(n).empty());
      const int first = map.ranks(n)[0];
      EXPECT_GT(first, last_first) << "nodes are not in the order of their first ranks";
      last_first = first;
      ASSERT_TRUE(std::ranges::equal(map.ranks(n), nodes[numbers[static_cast<std::size_t>(first)]]));
      for (std::size_t i = 0; i < map.ranks(n).size(); ++i) {
        EXPECT_EQ(map.node_of(map.ranks(n)[i]), n);
        EXPECT_EQ(map.local_of(map.ranks(n)[i]), static_cast<int>(i));
      }
    }
    EXPECT_LE(map.memory(), static_cast<std::int64_t>(200 + 20 * numbers.size()));
  }
}

}  // namespace
}  // namespace mpix::plan
