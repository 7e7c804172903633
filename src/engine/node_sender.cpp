// SPDX-License-Identifier: BSD-3-Clause
#include "engine/node_sender.hpp"

#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "engine/relay.hpp"

namespace mpix::engine {
namespace {

/// What is not announced yet can be left to others. Announced or left to others is this part of it at a time,
/// which makes portions shorter towards the end, where they have to be level.
constexpr std::int64_t kPortionsOfRest = 4;
/// What an introduction counts in what a forwarder is told to expect.
constexpr std::int64_t kIntroductionBytes = 32;
constexpr std::size_t kFilling = 4;  // packets of a lane that a GPU fills at a time
constexpr std::int64_t kShortestPortion = 64 << 10, kLongestErrand = 4 << 20;

}  // namespace

NodeSender::NodeSender(const NodeRoute& route, std::size_t index)
    : route_(&route), index_(index), introductions_(route.introductions), writer_(route.local_ranks) {
  std::int64_t position = 0;
  lanes_.resize(route.lanes.size());
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    lanes_[i].cursor = route.lanes[i].start;
    lanes_[i].left = route.lanes[i].bytes;
    lanes_[i].position = position;
    position += route.lanes[i].bytes;
  }
  errands_.reserve(route.most_errands);
}

void NodeSender::enter(const Run& run) {
  for (const NodeRoute::Lane& lane : route_->lanes) lane.turns->join(run.exchange);
}

bool NodeSender::step(Run& run) noexcept {
  if (done_ || !run.open) return false;
  ErrandDesk* const desk = run.context->relay->desk();
  if (desk != nullptr && !desk->may_send(run.exchange)) return false;
  bool happened = false, left = false;
  for (std::size_t i = 0; i < lanes_.size() && !done_; ++i) {
    happened |= step(run, route_->lanes[i], lanes_[i]);
    left |= lanes_[i].left > 0 || lanes_[i].filling.size() > 0 || !route_->lanes[i].channel->flushed();
  }
  if (!errands_.empty()) happened |= collect_errands(run);
  if (left && !done_ && helped(run)) happened |= ask_for_help(run);
  if (left || !introduced() || !errands_.empty() || done_) return happened;
  run.traffic.saved += route_->send.total_bytes - route_->send.unique_bytes;
  done_ = true;
  return true;
}

bool NodeSender::step(Run& run, const NodeRoute::Lane& lane, Progress& progress) noexcept {
  bool happened = false;
  if (progress.filling.size() > 0) {
    Status status;
    happened = progress.filling.commit(*lane.channel, *run.send_gpu.queue, status);
    if (!status.ok()) return fail(run, status);
  }
  if (route_->fits && !introduced() && !run.send_gpu) {
    happened |= send_whole(run, lane, progress);
  } else if (progress.left > 0 || introduces(progress)) {
    happened |= announce(run, lane, progress);
    if (done_) return true;
    const bool expected = progress.announced > 0 || (introduces(progress) && expects_introductions_);
    if (expected && lane.turns->is_next(run.exchange)) happened |= push(run, lane, progress);
  }
  if (progress.left == 0 && !introduces(progress) && progress.filling.size() == 0)
    lane.turns->leave(run.exchange);
  return happened;
}

/// Whether other ranks send for this one: they cannot read the memory of its GPU.
bool NodeSender::helped(const Run& run) const noexcept {
  return !route_->helper_targets.empty() && !run.send_gpu;
}

/// Tells the forwarder to expect the next portion of the lane, if it is time for that.
bool NodeSender::announce(Run& run, const NodeRoute::Lane& lane, Progress& progress) noexcept {
  const std::int64_t rest = progress.left - progress.announced;
  const std::int64_t portion =
      std::min(rest, helped(run) ? std::max(rest / kPortionsOfRest, kShortestPortion) : rest);
  const bool introducing = introduces(progress) && !expects_introductions_;
  const std::int64_t introductions = introducing ? std::ssize(introductions_) : 0;
  if (introductions == 0 && (portion == 0 || progress.announced > portion / 2)) return false;
  if (lane.channel->announce_begin() == nullptr) return false;
  transport::Announcement announcement;
  announcement.exchange = run.exchange;
  announcement.send_bytes = portion + introductions * kIntroductionBytes;
  progress.announced += portion;
  expects_introductions_ |= introducing;
  if (!run.send_gpu && lane.turns->is_next(run.exchange) && push(run, lane, progress, &announcement))
    return true;
  const Status status = lane.channel->announce_commit(announcement);
  ++run.traffic.messages;
  if (!status.ok()) return fail(run, status);
  progress.expected += announcement.send_bytes;
  return true;
}

/// Sends everything by the announcement to the forwarder.
bool NodeSender::send_whole(Run& run, const NodeRoute::Lane& lane, Progress& progress) noexcept {
  if (!lane.turns->is_next(run.exchange)) return false;
  std::byte* const room = lane.channel->announce_begin();
  if (room == nullptr) return false;
  const PacketOrder order{{run.exchange, run.context->rank}, &route_->send, progress.left};
  PacketExtent extent;
  Status status = write({room, lane.channel->inline_limit()}, run, order, *lane.whole_list, progress,
                        {run.send_base, run.context->kernels}, extent);
  transport::Announcement announcement;
  announcement.exchange = run.exchange;
  announcement.send_bytes = static_cast<std::int64_t>(extent.payload);
  announcement.inline_bytes = static_cast<std::uint32_t>(extent.payload);
  if (status.ok()) status = lane.channel->announce_commit(announcement);
  ++run.traffic.messages;
  return status.ok() || fail(run, status);
}

/// Writes the next packet, without lists where the forwarder has them.
Status NodeSender::write(std::span<std::byte> room, Run& run, PacketOrder order, SentList& list,
                         Progress& progress, const PacketSource& source, PacketExtent& extent) noexcept {
  const bool introducing = introduces(progress);
  // Kept lists have all introductions or none, at a part's beginning.
  const bool all_or_none = !introducing || introductions_.size() == route_->introductions.size();
  const bool kept_so = !introducing || (all_or_none && list.introduces(progress.position));
  std::span<const PacketDest> none;
  std::span<const PacketDest>& introductions = introducing ? introductions_ : none;
  order.header.position = progress.position;
  Status status;
  try {
    const auto room_for_data = static_cast<std::int64_t>(room.size() - data_place(0));
    const std::int64_t known = list.known(progress.position, std::min(order.most, room_for_data));
    if (known > 0 && kept_so) {
      order.header.list = list.number();
      order.most = known;
      introductions = {};
      status = PacketWriter::write_data(room, order, progress.cursor, source, extent);
    } else {
      if (known > 0) order.most = 0;  // but introductions
      if (known == 0 && progress.left > 0 && all_or_none && run.reused)
        order.header.list = list.number_to_keep();
      if (order.header.list != 0) order.most = std::min(order.most, list.unknown(progress.position));
      status = writer_.write(room, order, progress.cursor, introductions, source, extent);
      const bool keeps = order.header.list != 0 && extent.bytes > 0 &&
                         list.keep(progress.position, extent.bytes, extent.lists, introducing);
      if (!keeps) keep_no_lists(room);
    }
  } catch (const std::exception& error) {
    status = {Code::no_memory, error.what()};
  }
  progress.left -= extent.bytes;
  progress.position += extent.bytes;
  run.traffic.net += extent.bytes;
  run.traffic.lists += static_cast<std::int64_t>(extent.lists);
  return status;
}

/// Sends the next packet, and `with` before it.
bool NodeSender::push(Run& run, const NodeRoute::Lane& lane, Progress& progress,
                      const transport::Announcement* with) noexcept {
  if (progress.filling.size() == kFilling) return false;
  const std::span<std::byte> room =
      lane.channel->chunk_begin(lane.channel->chunk_limit(), run.send_gpu.with_host());
  if (room.empty()) return false;
  if (room.size() < kMinPacketRoom) {
    lane.channel->chunk_cancel(room.data());
    return fail(run, {Code::internal, text("rank ", lane.rank, " has no room for packets")});
  }
  PacketSource source{run.send_base, run.context->kernels};
  if (run.send_gpu) {
    source.queue = run.send_gpu.queue;
    source.side = run.send_gpu.at(run.send_base, index_, progress.position);
  }
  PacketExtent extent;
  const PacketOrder order{{run.exchange, run.context->rank},
                          &route_->send,
                          std::min(transport::net_piece(lane.bytes), progress.announced)};
  const std::size_t introductions = introductions_.size();
  Status status = write(room, run, order, *lane.list, progress, source, extent);
  progress.announced -= extent.bytes;
  ++run.traffic.chunks;
  ++run.traffic.messages;
  const auto introduced = static_cast<std::int64_t>(introductions - introductions_.size());
  const transport::Chunk chunk{run.exchange, 0, extent.bytes + introduced * kIntroductionBytes,
                               transport::Payload::packet, static_cast<std::uint32_t>(extent.payload)};
  if (!status.ok()) {
    lane.channel->chunk_cancel(room.data());
  } else if (run.send_gpu) {
    progress.filling.add(room.data(), chunk, extent.ticket);
  } else {
    status = with != nullptr ? lane.channel->commit_both(*with, room.data(), chunk)
                             : lane.channel->chunk_commit(room.data(), chunk);
  }
  if (!status.ok()) return fail(run, status);
  progress.expected += (with != nullptr ? with->send_bytes : 0) - chunk.bytes;
  return true;
}

/// Leaves part of what is not announced to ranks of the node that have nothing to send.
bool NodeSender::ask_for_help(Run& run) noexcept {
  bool happened = false;
  for (Progress& progress : lanes_) {
    while (progress.left - progress.announced >= kShortestPortion && errands_.size() < route_->most_errands) {
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
  progress.position += bytes;
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

/// Tells the forwarder that what was announced does not come, unless it has no room for that; then it grants
/// this rank some chunks too many.
void NodeSender::take_back(const Run& run, const NodeRoute::Lane& lane, Progress& progress) noexcept {
  const std::int64_t bytes = std::exchange(progress.expected, 0) + progress.filling.bytes();
  if (bytes == 0 || lane.channel->announce_begin() == nullptr) return;
  transport::Announcement announcement;
  announcement.exchange = run.exchange;
  announcement.send_bytes = -bytes;
  (void)lane.channel->announce_commit(announcement);  // whose forwarder is gone, nobody waits
}

void NodeSender::abandon(const Run& run) noexcept {
  if (done_) return;
  done_ = gave_up_ = true;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    take_back(run, route_->lanes[i], lanes_[i]);
    route_->lanes[i].turns->leave(run.exchange);
    route_->lanes[i].list->forget();  // what is given up may not have been sent
    route_->lanes[i].whole_list->forget();
    if (lanes_[i].filling.size() == 0) continue;
    run.send_gpu.queue->wait();
    lanes_[i].filling.cancel(*route_->lanes[i].channel);
  }
}

bool NodeSender::fail(Run& run, const Status& status) noexcept {
  run.fail(status);
  abandon(run);
  return true;
}

Status NodeSender::check_forwarders() noexcept {
  for (const NodeRoute::Lane& lane : route_->lanes)
    if (Status status = lane.channel->check_peer(); !status.ok())
      return {status.code(), text("sending to node ", route_->node, ": ", status.message())};
  return {};
}

}  // namespace mpix::engine
