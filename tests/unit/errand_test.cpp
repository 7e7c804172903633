// SPDX-License-Identifier: BSD-3-Clause
// Errands: what a rank leaves to others of its node reaches each of its places exactly once, whether its
// bytes are carried along, mapped or attached; work is claimed by one rank at a time, and only of idle ranks.
#include <unistd.h>

#include <algorithm>
#include <numeric>

#include "engine/errand_desk.hpp"
#include "memory/alloc.hpp"
#include "tests/unit/node_plan_support.hpp"
#include "tests/unit/packet_support.hpp"

namespace mpix::engine {
namespace {

using test::Rng;

/// Takes chunks of any size as packets, now and then none.
class Wire final : public transport::Channel {
 public:
  Wire(Rng& rng, std::size_t most, std::vector<Received>& received)
      : rng_(&rng), memory_(most), received_(&received) {}

  std::int64_t announced = 0, bytes = 0;
  bool broken = false;

  bool same_node() const noexcept override { return false; }
  std::uint32_t abilities() const noexcept override { return 0; }
  std::size_t inline_limit() const noexcept override { return 0; }
  std::size_t chunk_limit() const noexcept override { return memory_.size(); }
  std::byte* announce_begin() noexcept override { return rng_->chance(30) ? nullptr : memory_.data(); }
  Status announce_commit(const transport::Announcement& announcement) noexcept override {
    announced += announcement.send_bytes;
    return {};
  }
  const transport::AnnouncementView* announcement() noexcept override { return nullptr; }
  void pop_announcement() noexcept override {}
  std::span<std::byte> chunk_begin(std::size_t want, transport::By) noexcept override {
    if (rng_->chance(30)) return {};
    const auto most = static_cast<std::int64_t>(std::min(want, memory_.size()));
    return std::span(memory_).first(static_cast<std::size_t>(rng_->between(kMinPacketRoom, most)));
  }
  Status chunk_commit(const std::byte*, const transport::Chunk& chunk) noexcept override {
    if (broken) return {Code::peer, "broken"};
    PacketView packet;
    EXPECT_TRUE(read_packet(memory_.data(), chunk.payload_bytes, packet).ok());
    EXPECT_EQ(packet.header.source, 17);
    for (const PacketDest& dest : packet.dests)
      (*received_)[static_cast<std::size_t>(dest.local)].take(dest, packet.entries_of(dest), packet.data);
    bytes += chunk.bytes;
    return {};
  }
  void chunk_cancel(const std::byte*) noexcept override {}
  std::uint64_t chunks_sent() const noexcept override { return 0; }
  std::uint64_t chunks_drained() noexcept override { return 0; }
  bool flushed() noexcept override { return !rng_->chance(50); }
  void expect(std::int64_t, transport::By) noexcept override {}
  const transport::ChunkView* chunk(std::size_t, transport::By, std::uint64_t) noexcept override {
    return nullptr;
  }
  void pop_chunk() noexcept override {}
  Status check_peer() noexcept override { return {}; }

 private:
  Rng* rng_;
  std::vector<std::byte> memory_;
  std::vector<Received>* received_;
};

enum class Way { carried, mapped, attached };

class Errands : public testing::TestWithParam<Way> {
 protected:
  Errands() {
    context_.kernels = kernels::host_kernels("auto");
    context_.mappings = &mappings_;
  }
  ErrandHeader header(std::size_t receivers) const {
    ErrandHeader header;
    header.exchange = 3;
    header.source = 17;
    header.target = 5;
    header.receivers = static_cast<std::uint32_t>(receivers);
    const auto found = memory_.find(buffer_, 0, kBuffer);
    if (GetParam() == Way::mapped) header.place = {Reach::mapped, ::getpid(), found->segment, found->offset};
    if (GetParam() == Way::attached)
      header.place = {Reach::attached, ::getpid(), {}, reinterpret_cast<std::intptr_t>(buffer_)};
    return header;
  }

  static constexpr std::int64_t kBuffer = 60000;
  memory::SharedAllocator memory_;
  std::byte* buffer_ = memory_.allocate(kBuffer, 64);
  memory::MappingCache mappings_{4};
  Context context_;
};

TEST_P(Errands, EveryByteReachesEachOfItsPlacesOnce) {
  for (std::uint64_t round = 0; round < 200; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    Rng rng(test::mix(plan::base_seed(), round));
    const auto receivers = static_cast<std::size_t>(rng.between(1, 6));
    std::vector<std::byte> buffer(kBuffer);
    for (std::byte& byte : buffer) byte = static_cast<std::byte>(rng.bits());
    std::copy(buffer.begin(), buffer.end(), buffer_);
    const NodeTraffic traffic(rng, receivers, kBuffer);
    if (traffic.parts.empty()) continue;
    const plan::NodeSend send = plan::make_node_send(traffic.parts);
    std::vector<Received> received;
    for (const kernels::Blocks& blocks : traffic.blocks)
      received.emplace_back(static_cast<std::size_t>(blocks.bytes));
    Wire wire(rng, kMinPacketRoom + static_cast<std::size_t>(rng.between(0, 40000)), received);

    const memory::Board board(2);
    ErrandDesk loaded(board, 0), idle(board, 1);
    idle.idle(3);
    loaded.idle(2);
    const PacketSource source{buffer_, context_.kernels};
    const PacketSource* const carried = GetParam() == Way::carried ? &source : nullptr;
    UniqueCursor cursor;
    std::int64_t left = send.unique_bytes, counted = 0;
    std::vector<ErrandDesk::Claim> claims;
    bool happened = false;
    while (left > 0 || !claims.empty()) {
      if (const auto claim = left > 0 ? loaded.claim(3) : std::nullopt) {
        const auto room = loaded.room(*claim).first(
            static_cast<std::size_t>(rng.between(kMinErrandRoom, memory::Board::kErrandRoom)));
        const std::int64_t most = std::min(rng.between(1, 30000), left);
        const std::int64_t bytes = write_errand(room, header(receivers), send, cursor, most, carried);
        ASSERT_GT(bytes, 0);
        left -= bytes;
        loaded.leave(*claim);
        claims.push_back(*claim);
      }
      const Status status = idle.progress(
          context_,
          [&](int rank) -> transport::Channel& {
            EXPECT_EQ(rank, 5);
            return wire;
          },
          [&](std::uint64_t exchange, std::int64_t bytes) {
            EXPECT_EQ(exchange, 3u);
            counted += bytes;
          },
          happened);
      ASSERT_TRUE(status.ok()) << status.message();
      std::erase_if(claims, [&](const auto& c) { return loaded.state(c) == ErrandDesk::State::done; });
      if (HasFatalFailure()) return;
    }
    EXPECT_EQ(wire.bytes, send.unique_bytes);
    EXPECT_EQ(wire.announced, send.unique_bytes);
    EXPECT_EQ(counted, send.unique_bytes);
    for (std::size_t local = 0; local < receivers; ++local) {
      EXPECT_TRUE(std::all_of(received[local].times.begin(), received[local].times.end(),
                              [](int times) { return times == 1; }));
      ASSERT_EQ(received[local].bytes, traffic.expected(local, buffer)) << "receiver " << local;
    }
  }
}

TEST_P(Errands, FailuresReachWhoeverLeftThem) {
  Rng rng(plan::base_seed());
  const std::vector<std::int64_t> offsets = {0}, lengths = {1000};
  kernels::Blocks blocks;
  blocks.form = kernels::Form::segments;
  blocks.nruns = 1;
  blocks.bytes = 1000;
  blocks.offsets = offsets.data();
  blocks.lengths = lengths.data();
  const plan::NodePart part{0, &blocks};
  const plan::NodeSend send = plan::make_node_send({&part, 1});
  std::vector<Received> received(1, Received(1000));
  Wire wire(rng, kMinPacketRoom, received);
  wire.broken = true;
  const memory::Board board(2);
  ErrandDesk loaded(board, 0), idle(board, 1);
  idle.idle(3);
  loaded.idle(2);
  const auto claim = loaded.claim(3);
  ASSERT_TRUE(claim);
  const PacketSource source{buffer_, context_.kernels};
  UniqueCursor cursor;
  write_errand(loaded.room(*claim), header(1), send, cursor, 1000,
               GetParam() == Way::carried ? &source : nullptr);
  loaded.leave(*claim);
  Status status;
  bool happened = false;
  while (status.ok())
    status = idle.progress(
        context_, [&](int) -> transport::Channel& { return wire; }, [](std::uint64_t, std::int64_t) {},
        happened);
  EXPECT_EQ(loaded.state(*claim), ErrandDesk::State::failed);
  for (std::size_t others = 1; others < memory::Board::kErrands; ++others) EXPECT_TRUE(loaded.claim(3));
  EXPECT_FALSE(loaded.claim(3)) << "what is hopeless is not claimed again";
}

INSTANTIATE_TEST_SUITE_P(Ways, Errands, testing::Values(Way::carried, Way::mapped, Way::attached));

TEST(ErrandDesk, OnlyIdleRanksAreClaimedInTurn) {
  const memory::Board board(4);
  ErrandDesk loaded(board, 1), other(board, 0), idle(board, 2), late(board, 3);
  EXPECT_FALSE(loaded.claim(7));
  idle.idle(7);
  late.idle(6);
  loaded.idle(6);
  other.idle(5);
  EXPECT_FALSE(loaded.claim(7)) << "a rank has something of an earlier exchange";
  other.idle(6);
  EXPECT_FALSE(idle.claim(7)) << "a rank does not claim itself";
  std::vector<std::size_t> numbers;
  for (std::size_t i = 0; i < memory::Board::kErrands; ++i) {
    const auto claim = (i % 2 == 0 ? loaded : other).claim(7);
    ASSERT_TRUE(claim);
    EXPECT_EQ(claim->helper, 2u);
    numbers.push_back(claim->number);
  }
  std::sort(numbers.begin(), numbers.end());
  EXPECT_EQ(std::unique(numbers.begin(), numbers.end()), numbers.end());
  EXPECT_FALSE(loaded.claim(7));
  late.idle(7);
  other.idle(8);
  std::vector<int> claimed(4);
  while (const auto claim = loaded.claim(7)) ++claimed[claim->helper];
  EXPECT_EQ(claimed, (std::vector<int>{memory::Board::kErrands, 0, 0, memory::Board::kErrands}));
}

/// Forwarders take packets of one channel in their order, so an errand may not come behind packets of a later
/// exchange.
TEST(ErrandDesk, WhoIsAheadTakesNoErrandsOfEarlierExchanges) {
  const memory::Board board(2);
  ErrandDesk loaded(board, 0), ahead(board, 1);
  EXPECT_TRUE(ahead.may_send(3));
  loaded.idle(2);
  ahead.idle(3);
  const auto claim = loaded.claim(3);
  ASSERT_TRUE(claim) << "of the same exchange";
  EXPECT_TRUE(ahead.may_send(3)) << "what is of this exchange may come in any order";
  EXPECT_FALSE(ahead.may_send(4)) << "before the errand";
  EXPECT_FALSE(loaded.claim(3)) << "it waits to be ahead already";
  loaded.leave(*claim);
  EXPECT_FALSE(ahead.may_send(4));
  board.line(1).errands[claim->number].state = memory::Board::Errand::none;  // done
  EXPECT_TRUE(ahead.may_send(4));
  EXPECT_FALSE(loaded.claim(3));
  loaded.idle(3);
  ahead.idle(4);
  EXPECT_TRUE(loaded.claim(4));
  EXPECT_TRUE(ahead.may_send(4)) << "asked again";
}

}  // namespace
}  // namespace mpix::engine
