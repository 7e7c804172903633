// SPDX-License-Identifier: BSD-3-Clause
// What a sender to another node and its pairs tell forwarders and peers when something goes wrong.
#include "engine/node_sender.hpp"

#include <gtest/gtest.h>

#include "engine/relay.hpp"
#include "tests/unit/node_plan_support.hpp"
#include "tests/unit/relay_support.hpp"

namespace mpix::engine {
namespace {

/// A channel of which one end is seen: counts what the peer is told to expect, and what of that has come.
class CountingChannel final : public SilentChannel {
 public:
  CountingChannel(std::size_t limit, int rooms) : room_(limit), rooms_(rooms) {}

  std::size_t chunk_limit() const noexcept override { return room_.size(); }
  std::byte* announce_begin() noexcept override { return room_.data(); }
  Status announce_commit(const transport::Announcement& announcement) noexcept override {
    expected += announcement.send_bytes;
    announced.push_back(announcement);
    return {};
  }
  const transport::AnnouncementView* announcement() noexcept override {
    view_.header = theirs;
    return theirs.exchange != 0 ? &view_ : nullptr;
  }
  void pop_announcement() noexcept override { theirs = {}; }
  std::span<std::byte> chunk_begin(std::size_t, transport::By) noexcept override {
    return rooms_-- > 0 ? std::span(room_) : std::span<std::byte>();
  }
  Status chunk_commit(const std::byte*, const transport::Chunk& chunk) noexcept override {
    expected -= chunk.bytes;
    ++chunks;
    return broken ? Status(Code::peer, "broken") : Status();
  }

  std::int64_t expected = 0;
  int chunks = 0;
  std::vector<transport::Announcement> announced;
  transport::Announcement theirs;  ///< unread; exchange 0 for none
  bool broken = false;             ///< no chunk can be sent

 private:
  std::vector<std::byte> room_;
  int rooms_;
  transport::AnnouncementView view_;
};

constexpr std::int64_t kRow = 1000, kRows = 200;

/// A rank that sends to rank 1 by two lanes through the ranks 1 and 2 of another node.
class NodeSenders : public testing::Test {
 protected:
  NodeSenders()
      : queues_(rng_, 1000),
        network_(queues_, 0),
        relay_(RelayParts{plan::NodeMap(std::vector{0, 1, 1}), 0, std::make_unique<memory::Board>(1),
                          &network_, nullptr, "", false, false, kernels::host_kernels("auto")}),
        buffer_(kRow * kRows) {
    context_.kernels = kernels::host_kernels("auto");
    context_.relay = &relay_;
    blocks_.bytes = blocks_.run = kRow * kRows;
    blocks_.nruns = 1;
    const plan::NodePart part{0, &blocks_};
    route_.local_ranks = 2;
    route_.send = plan::make_node_send({&part, 1});
    route_.introductions.resize(2);
    route_.introductions[1].local = 1;
    run_.context = &context_;
    run_.plan = &plan_;
    run_.config = &config_;
    run_.exchange = 5;
    run_.send_base = buffer_.data();
  }

  /// With room for a number of packets each.
  void make_lanes(int rooms) {
    channels_.clear();
    route_.lanes.clear();
    for (int i = 0; i < 2; ++i) {
      channels_.push_back(std::make_unique<CountingChannel>(std::size_t{20000}, rooms));
      NodeRoute::Lane lane;
      lane.rank = i + 1;
      lane.channel = channels_.back().get();
      lane.turns = &turns_[i];
      lane.start = {0, i * kRow * kRows / 2};
      lane.bytes = kRow * kRows / 2;
      lane.list = std::make_unique<SentList>(std::make_shared<ListNumbers>(), 0);
      lane.whole_list = std::make_unique<SentList>(std::make_shared<ListNumbers>(), 0);
      route_.lanes.push_back(std::move(lane));
    }
  }

  test::Rng rng_{1};
  Queues queues_;
  QueueTransport network_;
  Relay relay_;
  Context context_;
  Config config_;
  plan::Plan plan_;
  kernels::Blocks blocks_;
  std::vector<std::byte> buffer_;
  std::vector<std::unique_ptr<CountingChannel>> channels_;
  Turns turns_[2];
  NodeRoute route_;
  engine::Run run_;
};

TEST_F(NodeSenders, WhoGivesUpTakesBackWhatItHasAnnounced) {
  for (const int rooms : {0, 1, 3}) {
    SCOPED_TRACE(testing::Message() << rooms << " rooms");
    make_lanes(rooms);
    NodeSender sender(route_, 0);
    sender.enter(run_);
    for (int i = 0; i < 10; ++i) sender.step(run_);
    for (const auto& channel : channels_) {
      EXPECT_EQ(channel->chunks, rooms);
      EXPECT_GT(channel->expected, 0);
    }
    sender.abandon(run_);
    for (const auto& channel : channels_) EXPECT_EQ(channel->expected, 0);
    sender.abandon(run_);
    for (const auto& channel : channels_) EXPECT_EQ(channel->expected, 0) << "once";
  }
}

/// Packets would have told the peer that this rank takes part.
TEST_F(NodeSenders, PairsEndWithASenderThatHasNotIntroducedThem) {
  make_lanes(3);
  channels_[0]->broken = true;
  NodeSender sender(route_, 0);
  sender.enter(run_);
  CountingChannel to_peer(1000, 0);
  Link link;
  link.channel = &to_peer;
  const plan::Pair pair{1, &blocks_, nullptr};
  PairExchange exchange(pair, 0, link, &sender);
  exchange.enter(run_);
  for (int i = 0; i < 10; ++i) {
    sender.step(run_);
    exchange.step(run_);
  }
  EXPECT_FALSE(run_.error.ok());
  EXPECT_TRUE(exchange.done());
  EXPECT_TRUE(link.announcing.is_next(6) || (link.announcing.join(6), link.announcing.is_next(6)))
      << "it is not in the way of later exchanges";
}

/// The peer may still wait for a packet of an earlier exchange.
TEST_F(NodeSenders, ObjectionsSayWhichExchangeBeforeWasIntroduced) {
  make_lanes(100);
  NodeSender sender(route_, 0);
  sender.enter(run_);
  CountingChannel to_peer(1000, 0);
  Link link;
  link.channel = &to_peer;
  link.introduced = 3;
  const plan::Pair pair{1, &blocks_, nullptr};
  PairExchange exchange(pair, 0, link, &sender);
  exchange.enter(run_);
  for (int i = 0; i < 20 && !sender.introduced(); ++i) sender.step(run_);
  exchange.step(run_);
  EXPECT_TRUE(to_peer.announced.empty()) << "packets do it";
  EXPECT_EQ(link.introduced, 5u);
  to_peer.theirs.exchange = 5;
  to_peer.theirs.recv_bytes = 1;  // not what is sent
  for (int i = 0; i < 3; ++i) exchange.step(run_);
  EXPECT_EQ(run_.error.code(), Code::mismatch);
  ASSERT_EQ(to_peer.announced.size(), 1u);
  EXPECT_EQ(to_peer.announced[0].abilities >> transport::kIntroducedShift, 2u);
}

}  // namespace
}  // namespace mpix::engine
