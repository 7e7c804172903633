// SPDX-License-Identifier: BSD-3-Clause
#include "engine/errand.hpp"

#include <algorithm>
#include <cstring>

#include "base/text.hpp"

namespace mpix::engine {
namespace {

constexpr std::size_t kRangeBytes = 3 * sizeof(std::int64_t);
constexpr std::size_t kFixedBytes = sizeof(ErrandHeader) + sizeof(std::int64_t);

static_assert(sizeof(ErrandHeader) % alignof(plan::Delivery) == 0);

/// Where the arrays of an errand lie.
struct Arrays {
  std::int64_t *offsets, *lengths, *first;
  plan::Delivery* deliveries;

  Arrays(std::byte* errand, std::uint32_t ranges)
      : offsets(reinterpret_cast<std::int64_t*>(errand + sizeof(ErrandHeader))),
        lengths(offsets + ranges),
        first(lengths + ranges),
        deliveries(reinterpret_cast<plan::Delivery*>(first + ranges + 1)) {}
};

/// Counts the ranges that fit, and their deliveries and bytes, into `header`.
void measure(std::size_t room, ErrandHeader& header, const plan::NodeSend& send, UniqueCursor at,
             std::int64_t most) noexcept {
  std::size_t taken = kFixedBytes;
  while (header.bytes < most && static_cast<std::size_t>(at.range) < send.lengths.size()) {
    const auto range = static_cast<std::size_t>(at.range);
    const std::int64_t deliveries = send.first[range + 1] - send.first[range];
    const std::size_t listed =
        taken + kRangeBytes + static_cast<std::size_t>(deliveries) * sizeof(plan::Delivery);
    if (listed >= room) break;
    std::int64_t piece = std::min(send.lengths[range] - at.within, most - header.bytes);
    if (header.carried != 0) {
      piece = std::min(piece, static_cast<std::int64_t>(room - listed) - header.bytes);
      if (piece <= 0) break;
    }
    taken = listed;
    ++header.ranges;
    header.deliveries += deliveries;
    header.bytes += piece;
    advance(send, at, piece);
  }
  header.data = static_cast<std::uint32_t>(taken);
}

}  // namespace

std::int64_t write_errand(std::span<std::byte> room, ErrandHeader header, const plan::NodeSend& send,
                          UniqueCursor& cursor, std::int64_t most, const PacketSource* source) noexcept {
  header.carried = source != nullptr ? 1 : 0;
  header.ranges = 0;
  header.deliveries = header.bytes = 0;
  measure(room.size(), header, send, cursor, most);
  std::memcpy(room.data(), &header, sizeof header);
  const Arrays arrays(room.data(), header.ranges);
  const UniqueCursor start = cursor;
  std::int64_t deliveries = 0, bytes = 0;
  for (std::uint32_t i = 0; i < header.ranges; ++i) {
    const auto range = static_cast<std::size_t>(cursor.range);
    const std::int64_t piece = std::min(send.lengths[range] - cursor.within, header.bytes - bytes);
    arrays.offsets[i] = header.carried != 0 ? bytes : send.offsets[range] + cursor.within;
    arrays.lengths[i] = piece;
    arrays.first[i] = deliveries;
    for (std::int64_t d = send.first[range]; d < send.first[range + 1]; ++d) {
      const plan::Delivery& from = send.deliveries[static_cast<std::size_t>(d)];
      arrays.deliveries[deliveries++] = {from.local, from.offset + cursor.within};
    }
    bytes += piece;
    advance(send, cursor, piece);
  }
  arrays.first[header.ranges] = deliveries;
  if (source != nullptr) {
    kernels::Cursor from{start.range, start.within};
    source->kernels->gather(source->base, send.blocks(), from, room.data() + header.data,
                            static_cast<std::size_t>(bytes), kernels::Stores::cached);
  }
  return bytes;
}

namespace {

ErrandHeader read_header(const std::byte* room) noexcept {
  ErrandHeader header;
  std::memcpy(&header, room, sizeof header);
  return header;
}

}  // namespace

Errand::Errand(const std::byte* room, const Context& context)
    : header_(read_header(room)), writer_(header_.receivers), left_(header_.bytes) {
  const Arrays arrays(const_cast<std::byte*>(room), header_.ranges);  // read only
  send_.offsets.assign(arrays.offsets, arrays.offsets + header_.ranges);
  send_.lengths.assign(arrays.lengths, arrays.lengths + header_.ranges);
  send_.first.assign(arrays.first, arrays.first + header_.ranges + 1);
  send_.deliveries.assign(arrays.deliveries, arrays.deliveries + header_.deliveries);
  send_.unique_bytes = header_.bytes;
  send_.find_common();
  source_.kernels = context.kernels;
  if (header_.carried != 0) {
    source_.base = room + header_.data;
  } else if (header_.place.reach == Reach::mapped) {
    mapping_ = context.mappings->get(header_.place.segment);
    source_.base = mapping_->data() + header_.place.base;
  } else {
    source_.base = reinterpret_cast<const std::byte*>(header_.place.base);
    source_.attached = header_.place.pid;
  }
}

Status Errand::step(transport::Channel& channel, bool& happened) noexcept {
  if (!announced_) {
    if (channel.announce_begin() == nullptr) return {};
    transport::Announcement announcement;
    announcement.exchange = header_.exchange;
    announcement.send_bytes = header_.bytes;
    if (Status status = channel.announce_commit(announcement); !status.ok()) return status;
    announced_ = happened = true;
  }
  while (left_ > 0) {
    const std::span<std::byte> room = channel.chunk_begin(channel.chunk_limit());
    if (room.empty()) return {};
    PacketExtent extent;
    const PacketOrder order{{header_.exchange, header_.source}, &send_, left_};
    Status status = writer_.write(room, order, cursor_, source_, extent);
    if (!status.ok()) {
      channel.chunk_cancel(room.data());
      return status;
    }
    left_ -= extent.bytes;
    happened = true;
    status = channel.chunk_commit(room.data(), {header_.exchange, 0, extent.bytes, transport::Payload::packet,
                                                static_cast<std::uint32_t>(extent.payload)});
    if (!status.ok()) return status;
  }
  return {};
}

}  // namespace mpix::engine
