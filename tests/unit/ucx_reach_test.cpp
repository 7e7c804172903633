// SPDX-License-Identifier: BSD-3-Clause
// Peers that the network devices of a rank do not reach.
#include <gtest/gtest.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tests/unit/ucx_support.hpp"

namespace mpix::transport::ucx {
namespace {

/// An interface that does not lead to this machine alone, with an address; empty where there is none.
std::string other_than_loopback() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next) {
    const bool usable = each->ifa_addr != nullptr && each->ifa_addr->sa_family == AF_INET &&
                        (each->ifa_flags & IFF_UP) != 0 && (each->ifa_flags & IFF_LOOPBACK) == 0;
    if (usable) return each->ifa_name;
  }
  return {};
}

// UCX connects no loopback device to any other.
TEST(UcxTransport, PeersThatTheOwnDevicesDoNotReach) {
  const std::string device = other_than_loopback();
  if (device.empty()) GTEST_SKIP() << "no other interface than loopback";
  const std::string all = "lo," + device;
  Ranks ranks({{"lo", all}, {device, all}, {device, all}});
  constexpr std::int64_t kTotal = 3 * kSlots * kChunkBytes + 1;
  std::vector<std::unique_ptr<UcxTransport>> transports;
  for (int rank = 0; rank < 3; ++rank) transports.push_back(ranks.make(rank));
  std::vector<Sender> senders;
  std::vector<Receiver> receivers;
  for (int from = 0; from < 3; ++from) {
    for (int to = 0; to < 3; ++to) {
      if (from == to) continue;
      senders.push_back({transports[static_cast<std::size_t>(from)]->connect(to), from, kTotal});
      receivers.push_back({transports[static_cast<std::size_t>(to)]->connect(from), from, kTotal});
      receivers.back().channel.expect(kTotal);
    }
  }
  ASSERT_TRUE(ranks.progress_until([&] {
    for (Sender& sender : senders) sender.step();
    for (Receiver& receiver : receivers) receiver.step();
    return std::all_of(receivers.begin(), receivers.end(),
                       [](const Receiver& each) { return each.received == kTotal; });
  }));
  ASSERT_TRUE(ranks.progress_until([&] {
    return std::all_of(senders.begin(), senders.end(), [](Sender& each) { return each.channel.flushed(); });
  }));
}

/// A connection is made by both. Whoever has all that it waits for does not progress any more, and what it is
/// allowed to send next can be told later.
TEST(UcxTransport, NobodyWaitsUntilCreditHasLeft) {
  const std::string device = other_than_loopback();
  if (device.empty()) GTEST_SKIP() << "no other interface than loopback";
  const std::string all = "lo," + device;
  Ranks ranks({{"lo", all}, {device, all}});
  const auto sender = ranks.make(0), receiver = ranks.make(1);
  Channel& from = receiver->connect(0);
  Channel& to = sender->connect(1);
  ASSERT_TRUE(to.chunk_begin(1).empty());
  from.expect(1);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(100);
  while (std::chrono::steady_clock::now() < end) {
    bool happened = false;
    ASSERT_TRUE(ranks.worker(1)->progress(happened).ok());
    EXPECT_TRUE(from.flushed());
  }
  std::span<std::byte> room;
  ASSERT_TRUE(ranks.progress_until([&] { return !(room = to.chunk_begin(1)).empty(); }));
  to.chunk_cancel(room.data());
}

TEST(UcxTransport, PeerThatCannotBeReachedIsAnError) {
  for (const topology::Devices& devices :
       {topology::Devices{"no_such_device", ""}, topology::Devices{"no_such_device", "nor_this"}}) {
    Ranks ranks(1);
    const auto cut_off = std::make_shared<UcxWorker>(small_config(), WorkerParts{devices});
    UcxTransport transport(cut_off, 1, 1, [&](int) { return ranks.worker(0)->address(); });
    Channel& channel = transport.connect(0);
    ASSERT_NE(channel.announce_begin(), nullptr);
    const Status status = channel.announce_commit({});
    EXPECT_EQ(status.code(), Code::peer);
    EXPECT_NE(status.message().find("rank 0"), std::string::npos) << status.message();
    for (const std::string& tried : {devices.own, devices.others})
      EXPECT_NE(status.message().find(tried), std::string::npos) << status.message();
    cut_off->close_endpoints([] { return true; });
  }
}

}  // namespace
}  // namespace mpix::transport::ucx
