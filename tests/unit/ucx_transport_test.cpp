// SPDX-License-Identifier: BSD-3-Clause
// The UCX transport between workers of one process, over TCP on the loopback device.
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "tests/unit/ucx_support.hpp"

namespace mpix::transport::ucx {
namespace {

/// A chunk takes one cell here, and some are kept for standing grants.
static_assert(kChunkBytes <= static_cast<std::int64_t>(ReceiveBudget::kCellBytes));
constexpr auto kCellsToAskFor =
    static_cast<std::size_t>(kSlots - kSlots / static_cast<std::int64_t>(ReceiveBudget::kStandingShare));

TEST(UcxTransport, AnnouncementCarriesItsPayload) {
  Ranks ranks(2);
  const auto a = ranks.make(0), b = ranks.make(1);
  Channel& to_b = a->connect(1);
  Channel& to_a = b->connect(0);
  EXPECT_FALSE(to_b.same_node());
  EXPECT_GE(to_b.inline_limit(), 4096U);
  const std::size_t limit = to_b.inline_limit();
  ASSERT_TRUE(announce(to_b, 1, limit));
  ASSERT_TRUE(ranks.progress_until([&] { return to_a.announcement() != nullptr; }));
  const AnnouncementView& view = *to_a.announcement();
  EXPECT_EQ(view.header.exchange, 1U);
  ASSERT_EQ(view.header.inline_bytes, limit);
  for (std::size_t i = 0; i < limit; ++i) ASSERT_EQ(view.payload[i], std::byte{1});
  to_a.pop_announcement();
  EXPECT_EQ(to_a.announcement(), nullptr);
}

TEST(UcxTransport, AnnouncementsBeforeTheReceiverIsThereAreKept) {
  Ranks ranks(2);
  const auto a = ranks.make(0);
  Channel& to_b = a->connect(1);
  ASSERT_TRUE(announce(to_b, 1, 100));
  ASSERT_TRUE(announce(to_b, 2));
  ranks.progress_until([] { return false; }, 0.2);
  const auto b = ranks.make(1);  // neither the communicator nor the channel was there
  Channel& to_a = b->connect(0);
  ASSERT_TRUE(ranks.progress_until([&] { return to_a.announcement() != nullptr; }));
  EXPECT_EQ(to_a.announcement()->payload[99], std::byte{1});
  to_a.pop_announcement();
  ASSERT_TRUE(ranks.progress_until([&] { return to_a.announcement() != nullptr; }));
  EXPECT_EQ(to_a.announcement()->header.exchange, 2U);
}

TEST(UcxTransport, AnnouncementsStayInOrderAndBounded) {
  Ranks ranks(2);
  const auto a = ranks.make(0), b = ranks.make(1);
  Channel& to_b = a->connect(1);
  Channel& to_a = b->connect(0);
  std::uint64_t sent = 0, read = 0;
  while (announce(to_b, sent + 1, sent % 2 == 0 ? 7000 : 0)) ++sent;
  EXPECT_EQ(sent, kUnreadAnnouncements);
  ASSERT_TRUE(ranks.progress_until([&] {
    if (sent < 500 && announce(to_b, sent + 1, sent % 3 == 0 ? 7000 : 10)) ++sent;
    if (const AnnouncementView* view = to_a.announcement()) {
      EXPECT_EQ(view->header.exchange, ++read);
      to_a.pop_announcement();
    }
    return read == 500;
  }));
}

TEST(UcxTransport, StreamsBothWays) {
  Ranks ranks(2);
  const auto a = ranks.make(0), b = ranks.make(1);
  constexpr std::int64_t kTotal = (40 << 20) + 12345;
  Channel& to_b = a->connect(1);
  Channel& to_a = b->connect(0);
  Sender sends_a{to_b, 0, kTotal}, sends_b{to_a, 1, kTotal};
  Receiver from_b{to_b, 1, kTotal}, from_a{to_a, 0, kTotal};
  EXPECT_TRUE(to_b.chunk_begin(1).empty()) << "no credit was given yet";
  to_b.expect(kTotal);
  to_a.expect(kTotal);
  ASSERT_TRUE(ranks.progress_until([&] {
    sends_a.step();
    sends_b.step();
    from_a.step();
    from_b.step();
    return from_a.received == kTotal && from_b.received == kTotal && to_a.flushed() && to_b.flushed();
  }));
  // No more than a standing grant is left, of which chunks that got shorter meanwhile may have used some.
  std::vector<std::span<std::byte>> standing;
  for (auto room = to_b.chunk_begin(1); !room.empty(); room = to_b.chunk_begin(1)) standing.push_back(room);
  EXPECT_LE(standing.size(), ReceiveBudget::kStanding) << "credit was left over";
  for (const auto& room : standing) to_b.chunk_cancel(room.data());
  EXPECT_EQ(ranks.worker(0)->budget().free(), kCellsToAskFor);
  EXPECT_TRUE(ranks.worker(0)->chunks_free());
}

TEST(UcxTransport, ReceiverMemoryIsBoundedForAllPeersTogether) {
  constexpr int kPeers = 5;
  constexpr std::int64_t kTotal = 3 << 20;
  Ranks ranks(kPeers + 1);
  const auto sink = ranks.make(kPeers);
  std::vector<std::unique_ptr<UcxTransport>> transports;
  std::vector<Sender> senders;
  std::vector<Receiver> receivers;
  for (int i = 0; i < kPeers; ++i) {
    transports.push_back(ranks.make(i));
    senders.push_back({transports.back()->connect(kPeers), i, kTotal});
    receivers.push_back({sink->connect(i), i, kTotal});
    receivers.back().channel.expect(kTotal);
  }
  const auto sent = [&] {
    std::int64_t bytes = 0;
    for (Sender& sender : senders) {
      sender.step();
      bytes += sender.sent;
    }
    return bytes;
  };
  ASSERT_TRUE(ranks.progress_until([&] { return sent() == kSlots * kChunkBytes; }));
  for (int i = 0; i < 3000; ++i) ranks.progress();
  EXPECT_EQ(sent(), kSlots * kChunkBytes) << "nothing was popped";
  for (const Sender& sender : senders) EXPECT_GT(sender.sent, 0) << "rank " << sender.rank << " had no turn";
  ASSERT_TRUE(ranks.progress_until([&] {
    bool done = true;
    sent();
    for (Receiver& receiver : receivers) {
      receiver.step();
      done &= receiver.received == kTotal;
    }
    return done;
  }));
  EXPECT_EQ(ranks.worker(kPeers)->budget().free(), kCellsToAskFor);
}

TEST(UcxTransport, ChunksShorterThanTheLimitUseNoMoreMemory) {
  Ranks ranks(2);
  const auto a = ranks.make(0), b = ranks.make(1);
  Channel& to_b = a->connect(1);
  Channel& to_a = b->connect(0);
  constexpr std::int64_t kBytes = 1000, kCount = 200;
  to_a.expect(kBytes * kCount);
  std::int64_t sent = 0, received = 0;
  ASSERT_TRUE(ranks.progress_until([&] {
    const auto room = sent < kCount ? to_b.chunk_begin(kBytes) : std::span<std::byte>();
    if (!room.empty()) {
      const Status status =
          to_b.chunk_commit(room.data(), {1, kBytes * sent++, kBytes, Payload::data, kBytes});
      EXPECT_TRUE(status.ok()) << status.message();
    }
    if (to_a.chunk() != nullptr) {
      to_a.pop_chunk();
      ++received;
    }
    return received == kCount;
  }));
  EXPECT_EQ(ranks.worker(1)->budget().free(), kCellsToAskFor);
}

/// An exchange of `bytes` bytes from `from` to `to`, without waiting for `to` to ask for them, if that is
/// possible.
bool sends_unasked(Ranks& ranks, Channel& from, Channel& to, std::uint64_t exchange, std::size_t bytes) {
  EXPECT_NE(from.announce_begin(), nullptr);
  Announcement announcement;
  announcement.exchange = exchange;
  announcement.send_bytes = static_cast<std::int64_t>(bytes);
  const std::span<std::byte> room = from.chunk_begin(bytes);
  const bool unasked = room.size() == bytes;
  if (unasked) {
    std::memset(room.data(), static_cast<int>(exchange), bytes);
    const Status status = from.commit_both(
        announcement, room.data(),
        {exchange, 0, announcement.send_bytes, Payload::data, static_cast<std::uint32_t>(bytes)});
    EXPECT_TRUE(status.ok()) << status.message();
  } else {
    if (!room.empty()) from.chunk_cancel(room.data());
    EXPECT_TRUE(from.announce_commit(announcement).ok());
  }
  EXPECT_TRUE(ranks.progress_until([&] { return to.announcement() != nullptr; }));
  EXPECT_EQ(to.announcement()->header.exchange, exchange);
  EXPECT_EQ(to.announcement()->header.send_bytes, announcement.send_bytes);
  to.pop_announcement();
  to.expect(announcement.send_bytes);
  if (!unasked) {
    std::span<std::byte> late;
    EXPECT_TRUE(ranks.progress_until([&] { return !(late = from.chunk_begin(bytes)).empty(); }));
    std::memset(late.data(), static_cast<int>(exchange), bytes);
    EXPECT_TRUE(from.chunk_commit(late.data(), {exchange, 0, announcement.send_bytes, Payload::data,
                                                static_cast<std::uint32_t>(bytes)})
                    .ok());
  }
  EXPECT_TRUE(ranks.progress_until([&] { return to.chunk() != nullptr; }));
  EXPECT_EQ(to.chunk()->header.exchange, exchange);
  for (std::size_t i = 0; i < bytes; ++i) EXPECT_EQ(to.chunk()->payload[i], static_cast<std::byte>(exchange));
  to.pop_chunk();
  return unasked;
}

TEST(UcxTransport, AfterTheFirstMessageChunksComeWithTheirAnnouncement) {
  Ranks ranks(2);
  const auto a = ranks.make(0), b = ranks.make(1);
  Channel& to_b = a->connect(1);
  Channel& to_a = b->connect(0);
  for (std::uint64_t exchange = 1; exchange <= 20; ++exchange) {
    EXPECT_EQ(sends_unasked(ranks, to_b, to_a, exchange, 20'000 + 1000 * exchange), exchange > 1);
    if (exchange % 3 == 0) sends_unasked(ranks, to_a, to_b, exchange, 30'000);
    ranks.progress_until([] { return false; }, 0.01);
  }
  EXPECT_TRUE(ranks.progress_until([&] { return to_b.flushed() && to_a.flushed(); }));
}

TEST(UcxTransport, ChunksThatNobodyHasAskedForAreFewAndShort) {
  Config config = small_config();
  config.net_chunk = 4 * static_cast<std::int64_t>(ReceiveBudget::kCellBytes);
  Ranks ranks({std::make_shared<UcxWorker>(config), std::make_shared<UcxWorker>(config)});
  const auto a = ranks.make(0), b = ranks.make(1);
  Channel& to_b = a->connect(1);
  Channel& to_a = b->connect(0);
  Sender sender{to_b, 0, 4 << 20};
  Receiver receiver{to_a, 0, sender.total};
  to_a.expect(sender.total);
  ASSERT_TRUE(ranks.progress_until([&] {
    sender.step();
    receiver.step();
    return receiver.received == sender.total;
  }));
  ranks.progress_until([] { return false; }, 0.05);
  std::uint64_t sent = 0;
  for (std::span<std::byte> room = to_b.chunk_begin(1 << 20); !room.empty();
       room = to_b.chunk_begin(1 << 20)) {
    EXPECT_LE(room.size(), ReceiveBudget::kCellBytes);
    EXPECT_TRUE(to_b.chunk_commit(room.data(), {2, 0, 1, Payload::data, 1}).ok());
    ++sent;
    ranks.progress_until([] { return false; }, 0.05);
  }
  EXPECT_GE(sent, 1u);
  EXPECT_LE(sent, ReceiveBudget::kStanding);
}

TEST(UcxTransport, ChunksForPeersThatMayBeLateLeaveHalfOfTheMemoryToOthers) {
  constexpr int kPeers = kSlots;
  Ranks ranks(kPeers + 1);
  const auto a = ranks.make(0);
  std::vector<std::unique_ptr<UcxTransport>> peers;
  for (int peer = 1; peer <= kPeers; ++peer) {
    peers.push_back(ranks.make(peer));
    sends_unasked(ranks, a->connect(peer), peers.back()->connect(0), 1, 1000);
  }
  ranks.progress_until([] { return false; }, 0.05);
  std::vector<std::pair<Channel*, std::span<std::byte>>> rooms;
  for (int peer = 1; peer <= kPeers; ++peer)
    for (auto room = a->connect(peer).chunk_begin(1000, {.unmet = true}); !room.empty();
         room = a->connect(peer).chunk_begin(1000, {.unmet = true}))
      rooms.emplace_back(&a->connect(peer), room);
  EXPECT_EQ(rooms.size(), static_cast<std::size_t>(kSlots / 2));
  const std::span<std::byte> met = a->connect(kPeers).chunk_begin(1000);  // short: nothing more is granted
  ASSERT_FALSE(met.empty());
  rooms.emplace_back(&a->connect(kPeers), met);
  for (const auto& [channel, room] : rooms) channel->chunk_cancel(room.data());
  EXPECT_TRUE(ranks.worker(0)->chunks_free());
  EXPECT_FALSE(a->connect(1).chunk_begin(1000, {.unmet = true}).empty());
}

TEST(UcxTransport, CommunicatorsAreApartAndEndAlone) {
  Ranks ranks(2);
  const auto a1 = ranks.make(0, 1), b1 = ranks.make(1, 1);
  auto a2 = ranks.make(0, 2), b2 = ranks.make(1, 2);
  Channel& a1_to_b = a1->connect(1);
  ASSERT_TRUE(announce(a1_to_b, 1));
  ASSERT_TRUE(announce(a2->connect(1), 2, 50));
  ASSERT_TRUE(ranks.progress_until(
      [&] { return b1->connect(0).announcement() != nullptr && b2->connect(0).announcement() != nullptr; }));
  EXPECT_EQ(b1->connect(0).announcement()->header.exchange, 1U);
  EXPECT_EQ(b2->connect(0).announcement()->header.exchange, 2U);
  b2.reset();
  ASSERT_TRUE(announce(a2->connect(1), 3, 60));  // comes after the end
  a2->flush();
  a2.reset();
  b1->connect(0).pop_announcement();
  ASSERT_TRUE(announce(a1_to_b, 2));
  EXPECT_TRUE(ranks.progress_until([&] { return b1->connect(0).announcement() != nullptr; }));
  EXPECT_EQ(b1->connect(0).announcement()->header.exchange, 2U);
}

TEST(UcxTransport, EndsInTheMiddleOfAStream) {
  Ranks ranks(2);
  auto a = ranks.make(0), b = ranks.make(1);
  Sender sender{a->connect(1), 0, 8 << 20};
  b->connect(0).expect(sender.total);
  ASSERT_TRUE(ranks.progress_until([&] {
    sender.step();
    return b->connect(0).chunk() != nullptr;
  }));
  b.reset();
  a.reset();
  EXPECT_EQ(ranks.worker(1)->budget().free(), kCellsToAskFor);
  EXPECT_TRUE(ranks.progress_until([&] { return ranks.worker(0)->chunks_free(); }));
}

TEST(UcxTransport, ThreadsOnDifferentCommunicators) {
  Ranks ranks(2);
  constexpr std::int64_t kTotal = 8 << 20;
  const auto run = [&](std::uint64_t communicator) {
    const auto a = ranks.make(0, communicator), b = ranks.make(1, communicator);
    Sender sender{a->connect(1), 0, kTotal};
    Receiver receiver{b->connect(0), 0, kTotal};
    receiver.channel.expect(kTotal);
    EXPECT_TRUE(ranks.progress_until([&] {
      sender.step();
      receiver.step();
      return receiver.received == kTotal && sender.channel.flushed();
    }));
  };
  std::thread first(run, 11), second(run, 12), third(run, 13);
  first.join();
  second.join();
  third.join();
}

TEST(UcxTransport, NothingIsSentAfterTheEndpointsAreClosed) {
  Ranks ranks(2);
  const auto a = ranks.make(0);
  ranks.worker(0)->close_endpoints([] { return true; });
  Channel& channel = a->connect(1);
  ASSERT_NE(channel.announce_begin(), nullptr);
  EXPECT_EQ(channel.announce_commit({}).code(), Code::peer);
}

TEST(UcxTransport, WorkersMayGoWithoutClosing) {
  const Config config = small_config();
  std::vector<std::shared_ptr<UcxWorker>> workers{std::make_shared<UcxWorker>(config),
                                                  std::make_shared<UcxWorker>(config)};
  UcxTransport transport(workers[0], 0, 1, [&](int) { return workers[1]->address(); });
  ASSERT_TRUE(announce(transport.connect(1), 1));
  workers[1].reset();
}

void stream_for_ever(const Child& self) {
  auto worker = std::make_shared<UcxWorker>(small_config());
  const auto address = self.swap_addresses(worker->address());
  UcxTransport transport(worker, 1, 1, [&](int) { return std::span(address); });
  Channel& channel = transport.connect(0);
  announce(channel, 1);
  channel.expect(std::int64_t{1} << 40);
  Sender sender{channel, 1, std::int64_t{1} << 40};
  while (true) {
    bool happened = false;
    const Status status = transport.progress(happened);
    sender.step();
    if (channel.chunk() != nullptr) channel.pop_chunk();
    if (!status.ok()) return;
  }
}

TEST(UcxTransport, KilledPeerIsAnErrorThatNamesIt) {
  Child child(stream_for_ever);
  auto worker = std::make_shared<UcxWorker>(small_config());
  const auto address = child.swap_addresses(worker->address());
  UcxTransport transport(worker, 0, 1, [&](int) { return std::span(address); });
  Channel& channel = transport.connect(1);
  ASSERT_TRUE(announce(channel, 1));
  channel.expect(std::int64_t{1} << 40);
  Sender sender{channel, 0, std::int64_t{1} << 40};
  int popped = 0;
  Status status;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (status.ok() && std::chrono::steady_clock::now() < end) {
    bool happened = false;
    const Status progressed = transport.progress(happened);
    ASSERT_TRUE(progressed.ok()) << progressed.message();
    status = channel.check_peer();
    if (status.ok()) sender.step();
    if (channel.chunk() == nullptr) continue;
    channel.pop_chunk();
    if (++popped == 20) child.kill();
  }
  EXPECT_EQ(status.code(), Code::peer);
  EXPECT_NE(status.message().find("rank 1"), std::string::npos) << status.message();
  for (int i = 0; i < 1000 && !channel.flushed(); ++i) {
    bool happened = false;
    const Status progressed = transport.progress(happened);
    EXPECT_TRUE(progressed.ok());
  }
  EXPECT_TRUE(channel.flushed()) << "messages to a dead peer stay under way";
}

}  // namespace
}  // namespace mpix::transport::ucx

int main(int argc, char** argv) {
  ::setenv("UCX_TLS", "tcp,self", 0);
  ::setenv("UCX_NET_DEVICES", "lo", 0);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
