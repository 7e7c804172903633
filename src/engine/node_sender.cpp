// SPDX-License-Identifier: BSD-3-Clause
#include "engine/node_sender.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "engine/relay.hpp"

namespace mpix::engine {
namespace {

/// A lane's bytes are cut into at least this many packets, unless they get too short.
constexpr std::int64_t kPacketsOfLane = 8;
constexpr std::int64_t kShortestPacket = 16 << 10;
/// What is not announced yet can be left to others. Announced or left to others is this part of it at a time,
/// which makes portions shorter towards the end, where they have to be level.
constexpr std::int64_t kPortionsOfRest = 4;
constexpr std::int64_t kShortestPortion = 64 << 10, kLongestErrand = 4 << 20;

}  // namespace

NodeSender::NodeSender(const NodeRoute& route) : route_(&route), writer_(route.local_ranks) {
  for (const NodeRoute::Lane& lane : route.lanes) lanes_.push_back({lane.start, lane.bytes, 0});
  errands_.reserve(memory::Board::kErrands * route.helper_targets.size());
}

bool NodeSender::step(Run& run) noexcept {
  if (done_) return false;
  bool happened = false, left = false;
  for (std::size_t i = 0; i < lanes_.size() && !done_; ++i) {
    if (lanes_[i].left > 0) {
      happened |= announce(run, route_->lanes[i], lanes_[i]);
      if (lanes_[i].announced > 0) happened |= push(run, route_->lanes[i], lanes_[i]);
    }
    left |= lanes_[i].left > 0 || !route_->lanes[i].channel->flushed();
  }
  if (!errands_.empty()) happened |= collect_errands(run);
  if (left && !done_ && !route_->helper_targets.empty()) happened |= ask_for_help(run);
  if (left || !errands_.empty() || done_) return happened;
  run.traffic.saved += route_->send.total_bytes - route_->send.unique_bytes;
  done_ = true;
  return true;
}

/// Tells the forwarder to expect the next portion of the lane, if it is time for that.
bool NodeSender::announce(Run& run, const NodeRoute::Lane& lane, Progress& progress) noexcept {
  const std::int64_t rest = progress.left - progress.announced;
  const std::int64_t portion = std::min(
      rest, route_->helper_targets.empty() ? rest : std::max(rest / kPortionsOfRest, kShortestPortion));
  if (portion == 0 || progress.announced > portion / 2 || lane.channel->announce_begin() == nullptr)
    return false;
  transport::Announcement announcement;
  announcement.exchange = run.exchange;
  announcement.send_bytes = portion;
  const Status status = lane.channel->announce_commit(announcement);
  progress.announced += portion;
  return status.ok() || fail(run, status);
}

bool NodeSender::push(Run& run, const NodeRoute::Lane& lane, Progress& progress) noexcept {
  const std::int64_t share = std::max(lane.bytes / kPacketsOfLane, kShortestPacket);
  const std::span<std::byte> room = lane.channel->chunk_begin(lane.channel->chunk_limit());
  if (room.empty()) return false;
  if (room.size() < kMinPacketRoom) {
    lane.channel->chunk_cancel(room.data());
    return fail(run, {Code::internal, text("rank ", lane.rank, " has no room for packets")});
  }
  const PacketSource source{run.send_base, run.context->kernels};
  PacketExtent extent;
  Status status = writer_.write(room, {run.exchange, run.context->rank}, route_->send, progress.cursor,
                                std::min(share, progress.announced), source, kernels::Stores::cached, extent);
  progress.left -= extent.bytes;
  progress.announced -= extent.bytes;
  run.traffic.net += extent.bytes;
  ++run.traffic.chunks;
  if (status.ok())
    status =
        lane.channel->chunk_commit(room.data(), {run.exchange, 0, extent.bytes, transport::Payload::packet,
                                                 static_cast<std::uint32_t>(extent.payload)});
  return status.ok() || fail(run, status);
}

/// Leaves part of what is not announced to ranks of the node that have nothing to send.
bool NodeSender::ask_for_help(Run& run) noexcept {
  bool happened = false;
  for (Progress& progress : lanes_) {
    while (progress.left - progress.announced >= kShortestPortion && errands_.size() < errands_.capacity()) {
      const std::optional<ErrandDesk::Claim> claim = run.context->relay->desk()->claim(run.exchange);
      if (!claim) return happened;
      leave_errand(run, *claim, progress);
      happened = true;
    }
  }
  return happened;
}

void NodeSender::leave_errand(Run& run, const ErrandDesk::Claim& claim, Progress& progress) noexcept {
  ErrandDesk& desk = *run.context->relay->desk();
  ErrandHeader header;
  header.exchange = run.exchange;
  header.source = run.context->rank;
  header.target = route_->helper_targets[claim.helper];
  header.receivers = static_cast<std::uint32_t>(route_->local_ranks);
  std::optional<BufferPlace> place = run.mapped_place();
  if (!place && desk.attaches(claim.helper)) place = run.attached_place();
  if (place) header.place = *place;
  const PacketSource source{run.send_base, run.context->kernels};
  const std::int64_t rest = progress.left - progress.announced;
  const std::int64_t most =
      std::min(std::clamp(rest / kPortionsOfRest, kShortestPortion, kLongestErrand), rest);
  const std::int64_t bytes =
      write_errand(desk.room(claim), header, route_->send, progress.cursor, most, place ? nullptr : &source);
  desk.leave(claim);
  errands_.push_back(claim);
  progress.left -= bytes;
  run.traffic.net += bytes;
  run.traffic.given += bytes;
}

/// Forgets what has been done.
bool NodeSender::collect_errands(Run& run) noexcept {
  const ErrandDesk& desk = *run.context->relay->desk();
  const std::size_t before = errands_.size();
  bool failed = false;
  std::erase_if(errands_, [&](const ErrandDesk::Claim& left) {
    const ErrandDesk::State state = desk.state(left);
    failed |= state == ErrandDesk::State::failed;
    return state == ErrandDesk::State::done;
  });
  if (failed)
    return fail(run, {Code::peer, text("a rank of this node could not send to node ", route_->node,
                                       " for rank ", run.context->rank)});
  return errands_.size() != before;
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
