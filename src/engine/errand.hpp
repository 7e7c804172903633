// SPDX-License-Identifier: BSD-3-Clause
/// Work that a rank leaves to another one of its node, which has sent all that it had itself: unique bytes
/// for another node, with their places there. The helper reads them from the rank's buffer, where it can, or
/// from the errand, and sends them by its own NIC, in the rank's name.
///
/// In memory: ErrandHeader, offsets[ranges], lengths[ranges], first[ranges + 1], deliveries, and the bytes
/// themselves where they are carried along.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "engine/context.hpp"
#include "engine/descriptor.hpp"
#include "engine/packet.hpp"

namespace mpix::engine {

struct ErrandHeader {
  std::uint64_t exchange = 0;
  std::int32_t source = 0;             ///< rank whose bytes these are
  std::int32_t target = 0;             ///< rank of the other node that takes the packets
  std::uint32_t receivers = 0;         ///< ranks of that node
  std::uint32_t carried = 0;           ///< 1: the bytes lie in the errand; 0: at `place`
  BufferPlace place;                   ///< of the send buffer
  std::uint32_t ranges = 0, data = 0;  ///< where carried bytes begin, from the header
  std::int64_t deliveries = 0, bytes = 0;
};

/// Room that an errand needs at least: for one range and its deliveries, and a byte of it.
inline constexpr std::size_t kMinErrandRoom = sizeof(ErrandHeader) + kMinPacketRoom + 64;

/// Writes into `room` as many of the next `most` unique bytes as fit, at least one where it has
/// kMinErrandRoom; takes from `header` what is not found here. `source`: null unless the bytes are carried.
/// Advances `cursor`; returns the number of bytes.
std::int64_t write_errand(std::span<std::byte> room, ErrandHeader header, const plan::NodeSend& send,
                          UniqueCursor& cursor, std::int64_t most, const PacketSource* source) noexcept;

/// A helper at work.
class Errand {
 public:
  /// Reads what was written into `room`, which stays as it is while this lives. Throws Error (peer),
  /// bad_alloc.
  Errand(const std::byte* room, const Context& context);

  int target() const noexcept { return header_.target; }
  std::uint64_t exchange() const noexcept { return header_.exchange; }
  std::int64_t bytes() const noexcept { return header_.bytes; }
  /// Sends what can be sent now by `channel`, to the target; sets `happened` if that was anything.
  Status step(transport::Channel& channel, bool& happened) noexcept;
  /// Everything has been handed to the channel: the source's memory is not read any more.
  bool done() const noexcept { return left_ == 0; }

 private:
  ErrandHeader header_;
  std::shared_ptr<const Mapping> mapping_;
  plan::NodeSend send_;
  PacketSource source_;
  PacketWriter writer_;
  UniqueCursor cursor_;
  std::int64_t left_;
  bool announced_ = false;
};

}  // namespace mpix::engine
