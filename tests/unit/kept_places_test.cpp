// SPDX-License-Identifier: BSD-3-Clause
// Rows whose places are kept, cut anywhere, reach all of their places and no other byte; chunks of them end
// where rows do.
#include "engine/kept_places.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "tests/support/rng.hpp"
#include "tests/unit/node_plan_support.hpp"
#include "tests/unit/packet_support.hpp"

namespace mpix::engine {
namespace {

using test::Rng;

std::vector<std::byte> random_bytes(Rng& rng, std::int64_t size) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(rng.bits());
  return bytes;
}

/// Where the bytes of a message go: by runs in random order, with gaps between them.
class Places {
 public:
  Places(Rng& rng, std::size_t bytes, std::int64_t usual) {
    for (auto left = static_cast<std::int64_t>(bytes); left > 0; left -= lengths_.back())
      lengths_.push_back(std::min(left, rng.chance(70) ? usual : rng.between(1, 2 * usual)));
    std::vector<std::size_t> order(lengths_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    rng.shuffle(order);
    offsets_.resize(lengths_.size());
    for (const std::size_t run : order) {
      size_ += rng.between(0, 5);
      offsets_[run] = std::exchange(size_, size_ + lengths_[run]);
    }
  }
  std::int64_t size() const { return size_; }
  /// Of one byte, and how many bytes follow it there.
  std::pair<std::int64_t, std::int64_t> of(std::int64_t byte) const {
    std::size_t run = 0;
    for (; byte >= lengths_[run]; ++run) byte -= lengths_[run];
    return {offsets_[run] + byte, lengths_[run] - byte};
  }

 private:
  std::vector<std::int64_t> offsets_, lengths_;
  std::int64_t size_ = 0;
};

/// As packets tell it: each delivery of a range in one entry or in two, and these run by run.
void keep(Rng& rng, const plan::NodeSend& send, const Places& places, KeptPlaces& kept) {
  std::int64_t begin = 0;
  for (std::size_t range = 0; range < send.lengths.size(); begin += send.lengths[range++]) {
    const std::int64_t cut = rng.chance(20) ? rng.between(0, send.lengths[range]) : 0;
    for (const auto& [first, last] : {std::pair(std::int64_t{0}, cut), std::pair(cut, send.lengths[range])})
      for (std::int64_t d = send.first[range]; d < send.first[range + 1]; ++d)
        for (std::int64_t at = first, n = 0; at < last; at += n) {
          const auto [place, rest] = places.of(send.deliveries[static_cast<std::size_t>(d)].offset + at);
          n = std::min(rest, last - at);
          kept.add(begin + at, place, n);
        }
  }
  kept.finish();
}

TEST(KeptPlaces, EveryByteReachesItsPlaces) {
  Rng rng(plan::base_seed());
  SCOPED_TRACE(testing::Message() << "MPIX_TEST_SEED=" << plan::base_seed());
  for (int round = 0; round < 200; ++round) {
    const std::vector<std::byte> buffer = random_bytes(rng, rng.between(3000, 20000));
    const NodeTraffic traffic(rng, 1, static_cast<std::int64_t>(buffer.size()));
    if (traffic.parts.empty()) continue;
    const plan::NodeSend send = plan::make_node_send(traffic.parts);
    const std::vector<std::byte> message = traffic.expected(0, buffer);
    const Places places(rng, message.size(), rng.between(1, 200));
    std::vector<std::byte> target = random_bytes(rng, places.size()), expected = target, unique;
    for (std::size_t i = 0; i < message.size(); ++i)
      expected[static_cast<std::size_t>(places.of(static_cast<std::int64_t>(i)).first)] = message[i];
    for (std::size_t range = 0; range < send.lengths.size(); ++range) {
      const auto from = buffer.begin() + send.offsets[range];
      unique.insert(unique.end(), from, from + send.lengths[range]);
    }
    KeptPlaces kept(7);
    keep(rng, send, places, kept);
    EXPECT_EQ(kept.number(), 7u);
    EXPECT_EQ(kept.delivered(), static_cast<std::int64_t>(message.size()));
    const kernels::Stores stores = rng.chance(50) ? kernels::Stores::cached : kernels::Stores::streaming;
    const KeptPlaces::Target to{*kernels::host_kernels("auto"), target.data(), stores};
    KeptPlaces::Cursor cursor;
    std::int64_t written = 0;
    for (std::int64_t position = 0, bytes = 0; position < send.unique_bytes; position += bytes) {
      bytes = std::min(rng.magnitude(5000) + 1, send.unique_bytes - position);
      const std::vector<std::byte> come(unique.begin() + position, unique.begin() + position + bytes);
      written += kept.scatter(to, {come.data(), position, bytes}, cursor);
    }
    EXPECT_EQ(written, kept.delivered());
    ASSERT_TRUE(target == expected) << "round " << round;
  }
}

TEST(KeptPlaces, ChunksEndWhereRowsDo) {
  Rng rng(plan::base_seed());
  SCOPED_TRACE(testing::Message() << "MPIX_TEST_SEED=" << plan::base_seed());
  for (int round = 0; round < 200; ++round) {
    const NodeTraffic traffic(rng, 1, 20000);
    if (traffic.parts.empty()) continue;
    const plan::NodeSend send = plan::make_node_send(traffic.parts);
    std::int64_t delivered = 0, position = 0;
    for (UniqueCursor cursor; position < send.unique_bytes;) {
      const std::int64_t room = rng.between(1, 6000);
      const RowsExtent extent = fit_rows(send, cursor.range, cursor.within, room);
      ASSERT_GT(extent.bytes, 0);
      ASSERT_LE(extent.bytes, room);
      const std::int64_t left = send.lengths[static_cast<std::size_t>(cursor.range)] - cursor.within;
      advance(send, cursor, extent.bytes);
      position += extent.bytes;
      delivered += extent.delivered;
      if (left > room) continue;
      EXPECT_EQ(cursor.within, 0) << "a row that would fit a chunk is cut";
      const auto range = static_cast<std::size_t>(cursor.range);
      const std::int64_t next = range < send.lengths.size() ? send.lengths[range] : room;
      EXPECT_GT(extent.bytes + next, room) << "one more row would fit";
    }
    EXPECT_EQ(position, send.unique_bytes);
    EXPECT_EQ(delivered, send.total_bytes);
  }
}

/// What others replace before it was used, again and again, is not kept any more.
TEST(KeptPlaces, InVain) {
  KeptOfPeer kept;
  std::uint32_t number = 0;
  const auto replace = [&] {
    ++number;
    // The same ones, of exchanges that overlapped, change nothing.
    for (int times = 0; times < 3; ++times) kept.replace(std::make_shared<const KeptPlaces>(number));
  };
  for (int round = 0; round < 3; ++round) {
    replace();
    kept.use();
  }
  EXPECT_TRUE(kept.keeps());
  for (int i = 0; i <= KeptOfPeer::kMostVain; ++i) {
    EXPECT_TRUE(kept.keeps());
    replace();
  }
  EXPECT_FALSE(kept.keeps());
  kept.use();
  EXPECT_TRUE(kept.keeps());
}

}  // namespace
}  // namespace mpix::engine
