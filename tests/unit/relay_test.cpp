// SPDX-License-Identifier: BSD-3-Clause
// What one rank sends to a node in packets reaches each rank of the node once, whoever forwards it, however
// often it comes again, and whatever of the lists is kept where.
#include "engine/relay.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/unit/lane_support.hpp"
#include "tests/unit/node_plan_support.hpp"
#include "tests/unit/relay_support.hpp"

namespace mpix::engine {
namespace {

constexpr int kSender = 0;  // alone on its node; the others are ranks 1, 2, ...

/// Where a rank receives: runs of a buffer, in random order, that do not overlap.
struct RecvLayout {
  std::uint64_t serial;
  std::vector<std::int64_t> offsets, lengths;
  std::int64_t extent = 0;

  RecvLayout(Rng& rng, std::uint64_t number, std::int64_t bytes) : serial(number) {
    const std::int64_t most = rng.between(1, 3000);
    for (std::int64_t left = bytes; left > 0; left -= lengths.back()) {
      lengths.push_back(std::min(left, rng.between(1, most)));
      extent += rng.between(0, 5);
      offsets.push_back(extent);
      extent += lengths.back();
    }
    std::vector<std::size_t> order(offsets.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    rng.shuffle(order);
    const auto lengths_before = lengths, offsets_before = offsets;
    for (std::size_t i = 0; i < order.size(); ++i) {
      lengths[i] = lengths_before[order[i]];
      offsets[i] = offsets_before[order[i]];
    }
  }
  kernels::Blocks blocks() const {
    kernels::Blocks b;
    b.form = kernels::Form::segments;
    b.nruns = static_cast<std::int64_t>(offsets.size());
    b.bytes = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
    b.offsets = offsets.data();
    b.lengths = lengths.data();
    return b;
  }
  /// `message` put into a buffer, byte by byte.
  std::vector<std::byte> placed(const std::vector<std::byte>& message) const {
    std::vector<std::byte> buffer(static_cast<std::size_t>(extent));
    auto at = message.begin();
    for (std::size_t i = 0; i < offsets.size(); ++i, at += lengths[i - 1])
      std::copy_n(at, lengths[i], buffer.begin() + offsets[i]);
    return buffer;
  }
};

/// Takes packets as an exchange does, but is not always ready.
class Receiver final : public RelayClient {
 public:
  explicit Receiver(Rng& rng) : rng_(rng) {}

  void begin(std::uint64_t exchange, const RecvLayout& layout) {
    exchange_ = exchange;
    layout_ = &layout;
    finder_ = {};
    buffer.assign(static_cast<std::size_t>(layout.extent), std::byte{});
    received = introduced = 0;
  }
  Taken deliver(const PacketHeader& header, const PacketPart& part) noexcept override {
    EXPECT_EQ(header.exchange, exchange_);
    EXPECT_EQ(header.source, kSender);
    if (rng_.chance(20)) return Taken::not_now;
    if (part.dest.introduces) ++introduced;
    const kernels::Blocks blocks = layout_->blocks();
    const kernels::HostKernels& kernels = *kernels::host_kernels("auto");
    if (part.kept != nullptr) {
      ++kept;
      if (const KeptPlaces* const places = part.kept->places(layout_->serial, blocks, finder_)) {
        ++placed;
        KeptPlaces::Cursor begin;
        received += places->scatter({kernels, buffer.data(), kernels::Stores::cached},
                                    {part.data, 0, part.bytes}, begin);
        return Taken::all;
      }
    }
    for (const PacketEntry& entry : part.entries) {
      EXPECT_LE(std::int64_t{entry.data} + entry.bytes, part.bytes);
      kernels::Cursor to = ReceivePlaces().cursor(blocks, entry.offset);
      kernels.scatter(buffer.data(), blocks, to, part.data + entry.data, entry.bytes,
                      kernels::Stores::cached);
      received += entry.bytes;
    }
    return Taken::all;
  }
  void forwarded(std::uint64_t, std::int64_t) noexcept override {}
  void helped(std::uint64_t, std::int64_t) noexcept override {}

  std::vector<std::byte> buffer;
  std::int64_t received = 0;
  int introduced = 0;
  int kept = 0, placed = 0;  ///< parts that came with kept entries, and of these, those with known places

 private:
  Rng& rng_;
  std::uint64_t exchange_ = 0;
  const RecvLayout* layout_ = nullptr;
  ReceivePlaces finder_;
};

/// A node of several ranks.
class Node {
 public:
  Node(Rng& rng, std::size_t ranks) : queues_(rng, kMinPacketRoom + 5000) {
    std::vector<int> numbers(ranks + 1, 1);
    numbers[kSender] = kSender;
    boards_.push_back(std::make_unique<memory::Board>(ranks));
    for (std::size_t local = 1; local < ranks; ++local)
      boards_.push_back(std::make_unique<memory::Board>(boards_[0]->name(), ranks));
    for (std::size_t local = 0; local < ranks; ++local) {
      const int rank = static_cast<int>(local) + 1;
      networks_.push_back(std::make_unique<QueueTransport>(queues_, rank));
      inside_.push_back(std::make_unique<QueueTransport>(queues_, rank));
      relays_.push_back(std::make_unique<Relay>(
          RelayParts{plan::NodeMap(numbers), rank, std::move(boards_[local]), networks_.back().get(),
                     inside_.back().get(), "", false, false, kernels::host_kernels("auto")}));
      relays_.back()->network_channel(kSender);
      receivers_.emplace_back(rng);
    }
  }

  std::size_t ranks() const noexcept { return relays_.size(); }
  Receiver& receiver(std::size_t local) { return receivers_[local]; }
  /// A packet has come to one of the ranks.
  void arrive(std::size_t forwarder, const std::byte* packet, std::size_t size) {
    queues_.queue(kSender, static_cast<int>(forwarder) + 1)
        .chunks.push_back({{0, 0, 0, transport::Payload::packet, static_cast<std::uint32_t>(size)},
                           {packet, packet + size}});
  }
  /// Until all packets have been taken.
  bool progress(std::uint64_t exchange) {
    Context context;
    for (int round = 0, quiet = 0; quiet < kQuiet; ++round) {
      if (round == kMostRounds) return false;
      ++quiet;
      for (std::size_t local = 0; local < ranks(); ++local) {
        relays_[local]->takes(exchange);
        bool happened = false;
        const Status status = relays_[local]->progress(context, receivers_[local], happened);
        EXPECT_TRUE(status.ok()) << status.message();
        if (happened) quiet = 0;
      }
    }
    return true;
  }
  /// Bytes of lists of the packets inside the node since the last call, and how many there were.
  std::pair<std::size_t, std::size_t> lists() {
    std::size_t bytes = 0, packets = 0;
    for (std::size_t from = 0; from < ranks(); ++from)
      for (std::size_t to = 0; to < ranks(); ++to) {
        std::vector<std::size_t>& sent =
            queues_.queue(static_cast<int>(from) + 1, static_cast<int>(to) + 1).lists;
        bytes += std::accumulate(sent.begin(), sent.end(), std::size_t{0});
        packets += sent.size();
        sent.clear();
      }
    return {bytes, packets};
  }

 private:
  static constexpr int kQuiet = 30, kMostRounds = 20000;  // nobody is ready now and then

  Queues queues_;
  std::vector<std::unique_ptr<memory::Board>> boards_;
  std::vector<std::unique_ptr<QueueTransport>> networks_, inside_;
  std::vector<std::unique_ptr<Relay>> relays_;
  std::deque<Receiver> receivers_;
};

/// What the sender sends through one of the ranks, and where it is received.
struct Stream {
  std::size_t forwarder;
  Lane lane;
  std::vector<RecvLayout> layouts;

  /// `numbers`: of each rank's lists.
  Stream(Rng& rng, Node& node, const std::vector<std::shared_ptr<ListNumbers>>& numbers, std::int64_t most,
         bool varied)
      : forwarder(static_cast<std::size_t>(rng.index(node.ranks()))),
        lane(rng, node.ranks(), numbers[forwarder], most, varied) {
    receive_anew(rng);
  }
  void receive_anew(Rng& rng) {
    static std::uint64_t serial = 0;
    layouts.clear();
    for (std::size_t local = 0; local < lane.receivers(); ++local)
      layouts.emplace_back(rng, ++serial, lane.bytes(local));
  }
  /// One exchange; checks all buffers.
  void run(Node& node, std::uint64_t exchange, std::int64_t skipped) {
    for (std::size_t local = 0; local < node.ranks(); ++local)
      node.receiver(local).begin(exchange, layouts[local]);
    lane.exchange(exchange, skipped,
                  [&](const std::byte* packet, std::size_t size) { node.arrive(forwarder, packet, size); });
    ASSERT_TRUE(node.progress(exchange));
    for (std::size_t local = 0; local < node.ranks(); ++local) {
      const Receiver& receiver = node.receiver(local);
      EXPECT_EQ(receiver.received, lane.bytes(local)) << "receiver " << local;
      EXPECT_EQ(receiver.buffer, layouts[local].placed(lane.expected(local))) << "receiver " << local;
    }
  }
};

std::vector<std::shared_ptr<ListNumbers>> numbers_of(const Node& node) {
  std::vector<std::shared_ptr<ListNumbers>> numbers;
  for (std::size_t local = 0; local < node.ranks(); ++local)
    numbers.push_back(std::make_shared<ListNumbers>());
  return numbers;
}

/// Once all is kept, no entry is looked at any more.
TEST(Relay, WhatComesAgainIsHandedOutWithoutLists) {
  for (std::uint64_t round = 0; round < 60; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    Rng rng(test::mix(plan::base_seed(), round));
    Node node(rng, static_cast<std::size_t>(rng.between(1, 4)));
    Stream stream(rng, node, numbers_of(node), kPlenty, false);
    if (!stream.lane.useful()) continue;
    for (std::uint64_t exchange = 1; exchange <= 6; ++exchange) {
      std::vector<int> kept, placed;
      for (std::size_t local = 0; local < node.ranks(); ++local) {
        kept.push_back(node.receiver(local).kept);
        placed.push_back(node.receiver(local).placed);
      }
      stream.run(node, exchange, 0);
      if (HasFailure()) return;
      const auto [lists, packets] = node.lists();
      if (exchange == 1) {
        EXPECT_EQ(lists == 0, packets == 0);
      }
      if (exchange < 3) continue;
      EXPECT_EQ(lists, 0u) << "in exchange " << exchange;
      for (std::size_t local = 0; local < node.ranks(); ++local) {
        const Receiver& receiver = node.receiver(local);
        EXPECT_EQ(receiver.kept > kept[local], receiver.received > 0) << "in exchange " << exchange;
        if (exchange > 3) {
          EXPECT_EQ(receiver.placed - placed[local], receiver.kept - kept[local]);
        }
      }
    }
  }
}

/// Plans and receive layouts come and go, packets are cut anew, others send parts.
TEST(Relay, OfSeveralPlans) {
  int placed = 0;
  for (std::uint64_t round = 0; round < 30; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    Rng rng(test::mix(plan::base_seed(), 1000 + round));
    Node node(rng, static_cast<std::size_t>(rng.between(1, 4)));
    const auto numbers = numbers_of(node);
    const std::int64_t most = rng.chance(50) ? kPlenty : rng.between(0, 3000);
    std::vector<std::unique_ptr<Stream>> streams(3);
    for (std::uint64_t exchange = 1; exchange <= 50; ++exchange) {
      std::unique_ptr<Stream>& stream = streams[static_cast<std::size_t>(rng.index(3))];
      if (stream == nullptr || rng.chance(10)) {
        stream.reset();
        stream = std::make_unique<Stream>(rng, node, numbers, most, rng.chance(40));
      }
      if (rng.chance(10)) stream->receive_anew(rng);
      if (rng.chance(5)) stream->lane.list().forget();
      if (stream->lane.useful()) stream->run(node, exchange, rng.chance(30) ? 20 : 0);
      if (HasFailure()) return;
    }
    for (std::size_t local = 0; local < node.ranks(); ++local) placed += node.receiver(local).placed;
  }
  EXPECT_GT(placed, 0);
}

}  // namespace
}  // namespace mpix::engine
