// SPDX-License-Identifier: BSD-3-Clause
/// What one rank sends to one forwarder in packets, again and again.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "engine/kept_lists.hpp"
#include "kernels/host.hpp"
#include "tests/support/rng.hpp"
#include "tests/unit/packet_support.hpp"

namespace mpix::engine {

using test::Rng;

constexpr std::int64_t kPlenty = 1 << 20;

/// One lane from a rank to a forwarder, whose packets are cut at random, or if not `varied`, always in the
/// same way.
class Lane {
 public:
  /// Takes each packet.
  using Sink = std::function<void(const std::byte* packet, std::size_t size)>;

  Lane(Rng& rng, std::size_t receivers, std::shared_ptr<ListNumbers> numbers, std::int64_t most,
       bool varied = true)
      : rng_(rng),
        receivers_(receivers),
        buffer_(static_cast<std::size_t>(rng.between(3000, 60000))),
        traffic_(rng, receivers_, static_cast<std::int64_t>(buffer_.size())),
        writer_(receivers_),
        list_(std::move(numbers), most),
        varied_(varied) {
    if (!traffic_.parts.empty()) send_ = plan::make_node_send(traffic_.parts);
    for (std::size_t range = 0; range + 1 < send_.first.size(); ++range)
      useful_ &= send_.first[range + 1] - send_.first[range] <= kMostDeliveries;
    useful_ &= !traffic_.parts.empty();
  }
  bool useful() const noexcept { return useful_; }
  SentList& list() noexcept { return list_; }
  std::size_t receivers() const noexcept { return receivers_; }
  /// Bytes for a receiver, and what they are now.
  std::int64_t bytes(std::size_t local) const noexcept { return traffic_.blocks[local].bytes; }
  std::vector<std::byte> expected(std::size_t local) const { return traffic_.expected(local, buffer_); }

  /// Sends new content once, in exchange `exchange`, of which others send what is `skipped`, in percent.
  /// Returns the bytes of lists.
  std::size_t exchange(std::uint64_t exchange, std::int64_t skipped, const Sink& sink) {
    for (std::byte& byte : buffer_) byte = static_cast<std::byte>(rng_.bits());
    std::size_t lists = 0;
    UniqueCursor cursor;
    for (std::int64_t position = 0; position < send_.unique_bytes;) {
      const std::int64_t cut = varied_ ? rng_.between(1, 20000) : kCut;
      const std::int64_t most = std::min(cut, send_.unique_bytes - position);
      std::vector<std::byte> room(kMinPacketRoom +
                                  static_cast<std::size_t>(varied_ ? rng_.between(0, 40000) : kPlenty));
      PacketOrder order{{exchange, 0}, &send_, most};
      order.header.position = position;
      position += send(room, order, cursor, rng_.chance(static_cast<int>(skipped)), lists, sink);
      if (testing::Test::HasFatalFailure()) return lists;
    }
    return lists;
  }

 private:
  static constexpr std::int64_t kCut = 9000;

  /// One packet; returns the bytes in it.
  std::int64_t send(std::span<std::byte> room, PacketOrder order, UniqueCursor& cursor, bool by_others,
                    std::size_t& lists, const Sink& sink) {
    const PacketSource source{buffer_.data(), kernels::host_kernels("auto")};
    const std::int64_t position = order.header.position, most = order.most;
    PacketExtent extent;
    const std::int64_t known = by_others ? 0 : list_.known(position, most);
    if (known > 0) {
      order.header.list = list_.number();
      order.most = known;
      EXPECT_TRUE(PacketWriter::write_data(room, order, cursor, source, extent).ok());
    } else {
      if (!by_others) order.header.list = list_.number_to_keep();
      if (order.header.list != 0) order.most = std::min(most, list_.unknown(position));
      EXPECT_TRUE(writer_.write(room, order, cursor, source, extent).ok());
      if (order.header.list == 0 || !list_.keep(position, extent.bytes, extent.lists)) keep_no_lists(room);
      if (!by_others) lists += extent.lists;
    }
    EXPECT_GT(extent.bytes, 0);
    sink(room.data(), extent.payload);
    return extent.bytes;
  }

  Rng& rng_;
  std::size_t receivers_;
  std::vector<std::byte> buffer_;
  NodeTraffic traffic_;
  plan::NodeSend send_;
  PacketWriter writer_;
  SentList list_;
  bool varied_;
  bool useful_ = true;
};

}  // namespace mpix::engine
