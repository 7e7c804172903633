// SPDX-License-Identifier: BSD-3-Clause
#include "engine/node_sender.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace mpix::engine {
namespace {

/// A lane's bytes are cut into at least this many packets, unless they get too short.
constexpr std::int64_t kPacketsOfLane = 8;
constexpr std::int64_t kShortestPacket = 16 << 10;

}  // namespace

NodeSender::NodeSender(const NodeRoute& route) : route_(&route), writer_(route.local_ranks) {
  for (const NodeRoute::Lane& lane : route.lanes) lanes_.push_back({lane.start, lane.bytes, false});
}

bool NodeSender::step(Run& run) noexcept {
  if (done_) return false;
  bool happened = false, left = false;
  for (std::size_t i = 0; i < lanes_.size() && !done_; ++i) {
    if (lanes_[i].left > 0) {
      happened |= lanes_[i].announced ? push(run, route_->lanes[i], lanes_[i])
                                      : announce(run, route_->lanes[i], lanes_[i]);
    }
    left |= lanes_[i].left > 0 || !route_->lanes[i].channel->flushed();
  }
  if (left) return happened;
  run.traffic.saved += route_->send.total_bytes - route_->send.unique_bytes;
  done_ = true;
  return true;
}

bool NodeSender::announce(Run& run, const NodeRoute::Lane& lane, Progress& progress) noexcept {
  if (lane.channel->announce_begin() == nullptr) return false;
  transport::Announcement announcement;
  announcement.exchange = run.exchange;
  announcement.send_bytes = lane.bytes;
  const Status status = lane.channel->announce_commit(announcement);
  progress.announced = true;
  return status.ok() || fail(run, status);
}

bool NodeSender::push(Run& run, const NodeRoute::Lane& lane, Progress& progress) noexcept {
  const std::int64_t share = std::max(lane.bytes / kPacketsOfLane, kShortestPacket);
  const std::span<std::byte> room = lane.channel->chunk_begin(lane.channel->chunk_limit());
  if (room.empty()) return false;
  if (room.size() < kMinPacketRoom) {
    lane.channel->chunk_cancel();
    return fail(run, {Code::internal, text("rank ", lane.rank, " has no room for packets")});
  }
  const PacketHeader header{run.exchange, run.context->rank};
  const PacketExtent extent =
      writer_.write(room, header, route_->send, progress.cursor, std::min(share, progress.left),
                    *run.context->kernels, run.send_base, kernels::Stores::cached);
  progress.left -= extent.bytes;
  run.traffic.net += extent.bytes;
  ++run.traffic.chunks;
  const Status status = lane.channel->chunk_commit({run.exchange, 0, extent.bytes, transport::Payload::packet,
                                                    static_cast<std::uint32_t>(extent.payload)});
  return status.ok() || fail(run, status);
}

bool NodeSender::fail(Run& run, const Status& status) noexcept {
  run.fail(status);
  done_ = true;
  return true;
}

Status NodeSender::check_forwarders() noexcept {
  for (const NodeRoute::Lane& lane : route_->lanes)
    if (Status status = lane.channel->check_peer(); !status.ok())
      return {status.code(), text("sending to node ", route_->node, ": ", status.message())};
  return {};
}

}  // namespace mpix::engine
