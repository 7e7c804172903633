// SPDX-License-Identifier: BSD-3-Clause
// How a pair's bytes move, once both ranks have met (pair_meeting.cpp).
#include "engine/pair.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/text.hpp"
#include "engine/attach_copy.hpp"
#include "engine/kept_entries.hpp"
#include "engine/node_sender.hpp"
#include "engine/relay.hpp"

namespace mpix::engine {
namespace {

using transport::Channel;
using transport::Chunk;
using transport::ChunkView;
using transport::Payload;

/// Chunks that a rank sends in place beyond what it has received from the peer.
constexpr std::int64_t kInPlaceLead = 4;
/// Most bytes copied before the other pairs get their turn.
constexpr std::int64_t kSlice = 1 << 20;
/// Bytes, as many as there are; a multiple of any unit.
constexpr std::int64_t kAnyNumber = std::int64_t{1} << 62;

}  // namespace

std::optional<BufferPlace> Run::mapped_place() {
  if (!config->mapped || context->allocator == nullptr) return {};
  if (!shared_place) shared_place = context->allocator->find(send_base, plan->send_lb, plan->send_ub);
  if (!*shared_place) return {};
  return BufferPlace{Reach::mapped, ::getpid(), (*shared_place)->segment, (*shared_place)->offset};
}

BufferPlace Run::attached_place() const noexcept {
  return {Reach::attached, ::getpid(), {}, reinterpret_cast<std::intptr_t>(send_base)};
}

bool PairExchange::step(Run& run) noexcept {
  if (done_) return false;
  bool happened = (!announced_ || objects_) && announce(run);
  if (!met_ && !done_) happened |= meet(run);
  if (!met_ && announced_ && begins_unasked(run) && sends_now(run)) happened |= push(run);
  if (met_ && announced_) {
    if (gpu_ != nullptr) happened |= settle_gpu(run);
    if (sender_ != nullptr && sender_->done()) sent_ = send_total();
    if (sends_now(run)) happened |= run.send_gpu && !exports() ? push_gpu(run) : push(run);
    if (receiving_ && !done_ && received_ < recv_total()) happened |= pull(run);
  }
  if (announced_ && sent()) link_->sending.leave(run.exchange);
  update_done(run);
  return happened;
}

/// Whether there is something to send, which no earlier exchange has to send before it.
bool PairExchange::sends_now(const Run& run) const noexcept {
  return !done_ && sending_ && sent_ < send_total() && sender_ == nullptr &&
         link_->sending.is_next(run.exchange);
}

/// Whether this rank sends chunks before it knows that the peer takes part, as far as there is credit.
bool PairExchange::begins_unasked(const Run& run) const noexcept {
  return !channel().same_node() && sender_ == nullptr && !run.plan->in_place && !run.send_gpu;
}

/// In place: whether this rank has sent so far ahead of what it has received that it waits.
bool PairExchange::leads_in_place(const Run& run) const noexcept {
  return run.plan->in_place && receiving_ &&
         sent_ - received_ >= kInPlaceLead * static_cast<std::int64_t>(chunk_bytes_);
}

bool PairExchange::push(Run& run) noexcept {
  if (leads_in_place(run)) return false;
  if (exports() && !run.send_gpu.queue->done(run.send_gpu.mirror->ticket())) return false;
  const std::size_t left = static_cast<std::size_t>(send_total() - sent_);
  const std::size_t want = exports()  ? sizeof(ImportDescriptor)
                           : place_   ? channel().chunk_limit()
                           : repeats_ ? std::max(chunk_bytes_, kMinPacketRoom)
                                      : std::min(chunk_bytes_, left);
  const std::span<std::byte> room = channel().chunk_begin(want, {.unmet = !met_});
  if (room.empty()) return false;
  const Status status = exports()    ? push_import(run, room)
                        : place_     ? push_descriptor(run, room)
                        : rows_only_ ? push_rows(run, room)
                        : repeats_   ? push_packet(run, room)
                                     : push_data(run, room);
  if (!status.ok()) {
    run.fail(status);
    abandon(run);
  }
  return true;
}

/// `with`: goes before it.
Status PairExchange::push_data(Run& run, std::span<std::byte> room,
                               const transport::Announcement* with) noexcept {
  const auto bytes = std::min(static_cast<std::int64_t>(room.size()), saved() > 0 ? saved() : send_total());
  const auto size = static_cast<std::size_t>(bytes);
  if (saved() > 0) {
    std::memcpy(room.data(), saved_.data() + saved_sent_, size);
    saved_sent_ += size;
  } else {
    run.context->kernels->gather(
        run.send_base, *pair_->send, send_cursor_, room.data(), size,
        channel().past_caches() ? kernels::Stores::streaming : kernels::Stores::cached);
  }
  const Chunk chunk{run.exchange, sent_, bytes, Payload::data, static_cast<std::uint32_t>(size)};
  sent_ += bytes;
  (channel().same_node() ? run.traffic.ring : run.traffic.net) += bytes;
  if (!channel().same_node()) ++run.traffic.messages;
  ++run.traffic.chunks;
  return with != nullptr ? channel().commit_both(*with, room.data(), chunk)
                         : channel().chunk_commit(room.data(), chunk);
}

/// Range by range, so that each is read and carried once.
Status PairExchange::push_packet(Run& run, std::span<std::byte> room) noexcept {
  try {
    if (run.writer == nullptr) run.writer = std::make_unique<PacketWriter>(1);
  } catch (const std::exception& error) {
    channel().chunk_cancel(room.data());
    return {Code::no_memory, error.what()};
  }
  const auto stores = channel().past_caches() ? kernels::Stores::streaming : kernels::Stores::cached;
  PacketExtent extent;
  const PacketSource source{run.send_base, run.context->kernels};
  PacketOrder order{{run.exchange, run.context->rank}, &repeats_->send, kAnyNumber, stores};
  order.header.list = repeats_->number;
  if (Status status = run.writer->write(room, order, repeats_cursor_, source, extent); !status.ok()) {
    channel().chunk_cancel(room.data());
    return status;
  }
  const Chunk chunk{run.exchange, sent_, extent.delivered, Payload::packet,
                    static_cast<std::uint32_t>(extent.payload)};
  sent_ += extent.delivered;
  run.traffic.ring += extent.delivered;
  ++run.traffic.chunks;
  return channel().chunk_commit(room.data(), chunk);
}

Status PairExchange::push_descriptor(Run& run, std::span<std::byte> room) noexcept {
  const DescriptorExtent extent =
      write_descriptor(room, *place_, *pair_->send, send_cursor_, send_total() - sent_);
  const Chunk chunk{run.exchange, sent_, extent.bytes, Payload::descriptor,
                    static_cast<std::uint32_t>(extent.payload)};
  sent_ += extent.bytes;
  (place_->reach == Reach::mapped ? run.traffic.mapped : run.traffic.attached) += extent.bytes;
  ++run.traffic.chunks;
  const Status status = channel().chunk_commit(room.data(), chunk);
  drain_target_ = channel().chunks_sent();
  return status;
}

bool PairExchange::pull(Run& run) noexcept {
  const std::size_t ahead = gpu_ != nullptr ? gpu_->chunks_reading : 0;
  const ChunkView* const view = channel().chunk(ahead, run.recv_gpu.alone(), run.exchange);
  if (view == nullptr) return false;
  if (view->header.exchange != run.exchange) return ahead == 0 && drop_stale(run, *view);
  if (view->lost) {
    run.fail({Code::internal, text("data of rank ", peer(), " cannot be copied from a GPU")});
    abandon(run);
    return true;
  }
  switch (view->header.payload) {
    case Payload::data:
      return run.recv_gpu ? pull_data_gpu(run, *view) : pull_data(run, *view);
    case Payload::packet:
      return pull_packet(run, *view);
    case Payload::rows:
      return pull_rows(run, *view);
    case Payload::descriptor:
      break;
  }
  return read_place(view->payload).reach == Reach::imported ? pull_imported(run, *view)
                                                            : pull_descriptor(run, *view);
}

/// Pops the oldest chunk if it is of an exchange that was given up here.
bool PairExchange::drop_stale(const Run& run, const ChunkView& view) noexcept {
  const bool stale = view.header.exchange < run.exchange && link_->living.is_next(run.exchange);
  if (stale) {
    channel().expect(view.header.bytes, run.recv_gpu.alone());  // was not, any more
    channel().pop_chunk();
  }
  return stale;
}

bool PairExchange::pull_packet(Run& run, const ChunkView& view) noexcept {
  PacketView& packet = run.packet;
  Status status = read_packet(view.payload, view.header.payload_bytes, packet);
  if (status.ok() && packet.dests.size() != 1) status = {Code::internal, "a packet is for other ranks"};
  if (!status.ok()) {
    run.fail({status.code(), text("from rank ", peer(), ": ", status.message())});
    abandon(run);
    return true;
  }
  const PacketDest& dest = packet.dests[0];
  if (!take(run, {dest, packet.entries_of(dest), packet.data, packet.header.bytes})) return false;
  if (done_) return true;
  record(packet);
  finish_chunk();
  return true;
}

/// In place, takes the next bytes to be sent out of the way of what has arrived. Waiting for room to send
/// them instead could be for ever: other ranks wait likewise, and all staging memory holds what is not taken.
/// The peer's lead bounds what is saved.
bool PairExchange::save_ahead(Run& run, std::int64_t bytes) noexcept {
  const std::int64_t left = send_total() - sent_ - saved();
  const auto size = static_cast<std::size_t>(std::min(bytes, left));
  try {
    if (saved() == 0) {
      saved_.clear();
      saved_sent_ = 0;
    }
    saved_.resize(saved_.size() + size);
  } catch (const std::exception& error) {
    run.fail(
        {Code::no_memory, text("no ", size, " bytes to save data that is sent in place: ", error.what())});
    abandon(run);
    return false;
  }
  run.context->kernels->gather(run.send_base, *pair_->send, send_cursor_,
                               saved_.data() + saved_.size() - size, size, kernels::Stores::cached);
  return true;
}

bool PairExchange::pull_data(Run& run, const ChunkView& view) noexcept {
  std::int64_t bytes = view.header.bytes - chunk_done_;
  if (run.plan->in_place && sending_) {
    if (sent_ + saved() == received_ && !save_ahead(run, bytes)) return true;
    bytes = std::min(bytes, sent_ + saved() - received_);  // not over what is yet to be sent
  }
  const StoreTimer timer(run.storing, received_);
  run.context->kernels->scatter(run.recv_base, *pair_->recv, recv_cursor_, view.payload + chunk_done_,
                                static_cast<std::size_t>(bytes), run.storing.stores);
  received_ += bytes;
  chunk_done_ += bytes;
  if (chunk_done_ == view.header.bytes) finish_chunk();
  return true;
}

bool PairExchange::pull_descriptor(Run& run, const ChunkView& view) noexcept {
  Status status = reading_ == nullptr ? open_reading(run, view) : Status();
  if (status.ok()) {
    std::int64_t bytes = std::min(view.header.bytes - chunk_done_, kSlice);
    Reading& from = *reading_;
    if (from.header.place.reach == Reach::mapped) {
      const StoreTimer timer(run.storing, received_);
      run.context->kernels->copy(run.recv_base, *pair_->recv, recv_cursor_, from.base, from.header.blocks,
                                 from.cursor, static_cast<std::size_t>(bytes), run.storing.stores);
      received_ += bytes;
    } else {
      status = attach_copy(from.header.place.pid, {run.recv_base, *pair_->recv, recv_cursor_},
                           {from.base, from.header.blocks, from.cursor}, bytes, bytes);
      received_ += bytes;
    }
    chunk_done_ += bytes;
  }
  if (!status.ok()) {
    run.fail(status);
    abandon(run);
  } else if (chunk_done_ == view.header.bytes) {
    finish_chunk();
  }
  return true;
}

Status PairExchange::open_reading(Run& run, const ChunkView& view) noexcept {
  try {
    auto reading = std::make_unique<Reading>();
    reading->header = read_descriptor(view.payload);
    const DescriptorHeader& header = reading->header;
    reading->cursor =
        header.blocks.form == kernels::Form::strided
            ? kernels::Cursor{header.within / header.blocks.run, header.within % header.blocks.run}
            : kernels::Cursor{0, header.within};
    if (header.place.reach == Reach::mapped) {
      reading->mapping = run.context->mappings->get(header.place.segment);
      reading->base = reading->mapping->data() + header.place.base;
    } else {
      reading->base = reinterpret_cast<std::byte*>(header.place.base);
    }
    reading_ = std::move(reading);
    return {};
  } catch (const Error& error) {
    return error.status();
  } catch (const std::exception& error) {
    return {Code::no_memory, error.what()};
  }
}

bool PairExchange::take(Run& run, const PacketPart& part) noexcept {
  if (done_) return true;
  if (run.plan->in_place && !met_) return false;
  if (gpu_ != nullptr && gpu_->takes(part.data)) return taken_by_gpu(run, part.data);
  if (!receiving_) {
    for (const PacketEntry& entry : part.entries) unwanted_ -= entry.bytes;
    return true;
  }
  if (run.recv_gpu) return take_gpu(run, part.entries, part.data);
  const StoreTimer timer(run.storing, received_);
  try {
    if (const KeptPlaces* const places = kept_places(run, part)) {
      const KeptPlaces::Target target{*run.context->kernels, run.recv_base, run.storing.stores};
      KeptPlaces::Cursor begin;
      received_ += places->scatter(target, {part.data, 0, part.bytes}, begin);
      return true;
    }
    PieceScatter pieces(*run.context->kernels, run.recv_base, *pair_->recv, part.data, run.storing.stores);
    for (const PacketEntry& entry : part.entries) {
      if (!expects(entry)) {
        stray_ += entry.bytes;
        continue;
      }
      pieces.add(places_.cursor(*pair_->recv, entry.offset), entry.data, entry.bytes);
      received_ += entry.bytes;
    }
  } catch (const std::exception&) {
    give_up(run);
  }
  return true;
}

/// Where the part's data goes, if that is known from exchanges before.
const KeptPlaces* PairExchange::kept_places(const Run& run, const PacketPart& part) {
  if (part.kept == nullptr || pair_->recv == nullptr) return nullptr;
  return part.kept->places(run.plan->recv_layout->serial(), *pair_->recv, places_);
}

/// Whether the entry lies within what is received. If not, and the sizes are not known to differ, that is for
/// accept() to find. Throws Error where they are known to agree.
bool PairExchange::expects(const PacketEntry& entry) const {
  if (pair_->recv != nullptr && entry.offset >= 0 && entry.offset <= recv_total() - entry.bytes) return true;
  if (met_) throw Error(Code::internal, text("rank ", peer(), " sent bytes beyond the end of its message"));
  return false;
}

/// Fails the exchange by the exception that is being handled.
void PairExchange::give_up(Run& run) noexcept {
  try {
    throw;
  } catch (const Error& error) {
    run.fail(error.status());
  } catch (const std::exception& error) {
    run.fail({Code::no_memory, error.what()});
  }
  abandon(run);
}

void PairExchange::finish_chunk() noexcept {
  reading_.reset();
  chunk_done_ = 0;
  channel().pop_chunk();
}

void PairExchange::update_done(const Run& run) noexcept {
  if (done_ || !announced_ || !met_ || objects_) return;
  if (sending_ && sent_ < send_total()) return;
  if (receiving_ && received_ < recv_total()) return;
  if (unwanted_ > 0 && !forwarders_may_be_gone(run)) return;
  if (drain_target_ > 0 && channel().chunks_drained() < drain_target_) return;
  if (gpu_ != nullptr && !gpu_->idle()) return;
  if (!channel().flushed()) return;  // in packets: the sender has seen to that
  keep_recorded(run);
  link_->living.leave(run.exchange);
  done_ = true;
}

/// Whether ranks of this node may have left the exchange because it receives little. What a rank forwards to
/// it all the same, from a larger message that is refused, may then come late, and is dropped.
bool PairExchange::forwarders_may_be_gone(const Run& run) const noexcept {
  const Relay* const relay = run.context->relay;
  return relay != nullptr && relay->no_packets_come(run.exchange);
}

void PairExchange::abandon(const Run& run) noexcept {
  link_->announcing.leave(run.exchange);
  link_->meeting.leave(run.exchange);
  link_->sending.leave(run.exchange);
  link_->living.leave(run.exchange);
  abandon_gpu(run);
  reading_.reset();
  const std::int64_t missing = expected_ - (received_ - chunk_done_);
  if (expected_ > 0 && missing > 0) channel().expect(-missing);
  expected_ = 0;
  done_ = true;
}

std::string PairExchange::awaited() const {
  if (!met_) return text("rank ", peer(), " to take part");
  if (receiving_ && received_ < recv_total())
    return text(recv_total() - received_, " of ", recv_total(), " bytes from rank ", peer());
  if (unwanted_ > 0) return text("the end of what rank ", peer(), " sends");
  return text("rank ", peer(), " to take ", send_total() - sent_, " of ", send_total(), " bytes");
}

}  // namespace mpix::engine
