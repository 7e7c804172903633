// SPDX-License-Identifier: BSD-3-Clause
// The GPU's copy kernel on the host: every thread of every block, in any order, against maps of bytes.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <vector>

#include "kernels/device/offsets.hpp"
#include "tests/unit/kernels_device_support.hpp"

namespace mpix::kernels::device {
namespace {

std::uint64_t bits(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address);
}

/// One job with its memory.
struct Case {
  Listed source, target;
  std::unique_ptr<Memory> from, to;
  std::vector<Piece> pieces;
  GuardedList<Piece> kernel_pieces;
  Job job{};
  std::vector<std::byte> expected;

  explicit Case(Rng& rng) {
    const std::int64_t unit = std::int64_t{1} << rng.between(0, 4);
    make_random(rng, unit, rng.chance(40), source);
    make_random(rng, unit, false, target);
    from = std::make_unique<Memory>(rng, source.map);
    to = std::make_unique<Memory>(rng, target.map);
    const std::int64_t most = std::min(source.blocks.bytes, target.blocks.bytes) / unit;
    job.bytes = unit * (rng.chance(30) ? most : rng.between(1, most));
    job.source_start = unit * rng.between(0, source.blocks.bytes / unit - job.bytes / unit);
    job.target_start = unit * rng.between(0, target.blocks.bytes / unit - job.bytes / unit);
    job.source = source.view(from->base());
    job.target = target.view(to->base());
    if (rng.chance(40)) cut(rng, unit);
    job.width = width_of(alignment_of(source.blocks) | alignment_of(target.blocks) | bits(from->base()) |
                         bits(to->base()) | joined_pieces() |
                         static_cast<std::uint64_t>(job.bytes | job.source_start | job.target_start));
    expect();
  }
  /// Closes the memory to what is not described, and opens it to the test again.
  void close() const {
    from->close();
    to->close();
  }
  void open() const {
    from->open();
    to->open();
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
    const std::int64_t longest = rng.chance(30) ? 2 : rng.chance(80) ? 300 : 3000;
    for (std::int64_t at = 0; at < job.bytes;) {
      const std::int64_t length = std::min(job.bytes - at, unit * rng.between(1, longest));
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
    kernel_pieces.assign(pieces);
    job.pieces = kernel_pieces.data();
    job.npieces = static_cast<std::int64_t>(pieces.size());
  }
  void expect() {
    expected = to->bytes();
    std::vector<std::byte> stream, flat;
    test::pack(from->base(), source.map, stream);
    test::pack(to->base(), target.map, flat);
    std::vector<Piece> all = pieces;
    if (all.empty()) all.push_back({job.bytes, 0, 0});
    std::int64_t begin = 0;
    for (const Piece& piece : all) {
      std::copy_n(stream.begin() + job.source_start + piece.source, piece.end - begin,
                  flat.begin() + job.target_start + piece.target);
      begin = piece.end;
    }
    test::unpack(to->base_of(expected.data()), target.map, flat);
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
    for (const auto& c : cases) c->close();
    run_all(rng, *batch, tiles);
    for (const auto& c : cases) c->open();
    for (const auto& c : cases) ASSERT_TRUE(c->to->bytes() == c->expected) << "width " << c->job.width;
  }
}

/// Adds one to `writers` for each byte that this thread writes, once or more. The target holds `before`,
/// which differs from what is written in every byte, and holds it again afterwards.
void count_writes(Case& c, const Batch& batch, std::int64_t thread, const std::vector<std::byte>& before,
                  std::vector<int>& writers) {
  c.close();
  run_thread(batch, thread / kThreads, static_cast<int>(thread % kThreads));
  c.open();
  std::byte* const now = c.to->data();
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (now[i] == before[i]) continue;
    ++writers[i];
    now[i] = before[i];
  }
}

TEST(DeviceKernel, OneThreadWritesAByte) {
  Rng rng(base_seed());
  SCOPED_TRACE(testing::Message() << "MPIX_TEST_SEED=" << base_seed());
  for (int cases = 0; cases < 25;) {
    Case c(rng);
    std::vector<std::byte> before = c.expected;
    if (before.size() > 100000) continue;
    ++cases;
    const std::vector<std::byte> initial = c.to->bytes();
    for (std::size_t i = 0; i < before.size(); ++i) {
      before[i] = ~c.expected[i];
      c.to->data()[i] = before[i];
    }
    auto batch = std::make_unique<Batch>();
    batch->njobs = 1;
    batch->inline_jobs[0] = c.job;
    std::vector<int> writers(before.size(), 0);
    for (std::int64_t thread = 0; thread < tiles_of(c.job) * kThreads; ++thread)
      count_writes(c, *batch, thread, before, writers);
    ASSERT_LE(*std::max_element(writers.begin(), writers.end()), 1) << "width " << c.job.width;
    ASSERT_EQ(std::accumulate(writers.begin(), writers.end(), std::int64_t{0}), c.job.bytes);
    for (std::size_t i = 0; i < initial.size(); ++i)
      ASSERT_TRUE(writers[i] == 1 || initial[i] == c.expected[i]) << "byte " << i;
  }
}

TEST(DeviceOffsets, EveryThreadOfRandomIndices) {
  Rng rng(base_seed());
  SCOPED_TRACE(testing::Message() << "MPIX_TEST_SEED=" << base_seed());
  for (const std::int64_t count : {1, 2, kThreads, kThreads * 8 + 1, 100000, 3000000}) {
    const std::int64_t most = rng.chance(50) ? 1000 : INT64_MAX;
    const std::int64_t unit = std::int64_t{1} << rng.between(0, 12);
    const std::int64_t extent = rng.between(-5000, 5000);
    std::vector<std::int64_t> indices(static_cast<std::size_t>(count)), offsets(indices.size(), -1);
    for (std::int64_t& index : indices) index = rng.between(-most / unit, most / unit) * unit;
    IndexFacts facts;
    const OffsetsTask task{indices.data(), offsets.data(), count, extent, &facts};
    const std::int64_t blocks = offsets_blocks(count);
    ASSERT_LE(blocks, kMostOffsetsBlocks);
    std::vector<std::int64_t> threads(static_cast<std::size_t>(blocks * kThreads));
    std::iota(threads.begin(), threads.end(), std::int64_t{0});
    rng.shuffle(threads);
    for (const std::int64_t thread : threads)
      run_offsets_thread(task, thread / kThreads, blocks, static_cast<int>(thread % kThreads));
    std::uint64_t joined = 0;
    for (std::size_t i = 0; i < indices.size(); ++i) {
      std::int64_t expected = 0;
      static_cast<void>(__builtin_mul_overflow(indices[i], extent, &expected));  // wraps round
      ASSERT_EQ(offsets[i], expected) << i;
      joined |= static_cast<std::uint64_t>(indices[i]);
    }
    EXPECT_EQ(facts.least, *std::min_element(indices.begin(), indices.end()));
    EXPECT_EQ(facts.most, *std::max_element(indices.begin(), indices.end()));
    EXPECT_EQ(facts.joined, joined);
  }
}

}  // namespace
}  // namespace mpix::kernels::device
