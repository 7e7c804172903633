// SPDX-License-Identifier: BSD-3-Clause
// The worker's traffic: what it sends, and what its active message handlers do.
#include <algorithm>
#include <cstring>
#include <exception>

#include "base/log.hpp"
#include "base/text.hpp"
#include "transport/ucx/channel.hpp"
#include "transport/ucx/transport.hpp"
#include "transport/ucx/worker.hpp"

namespace mpix::transport::ucx {
namespace {

constexpr std::size_t kAddedAtATime = std::size_t{1} << 20;  // bytes of slots

/// Says where a slot's room lies; its registration is worth something in the context that it was made in.
void describe_room(ucp_request_param_t& param, const Slot& slot, bool registered) {
  param.op_attr_mask |= UCP_OP_ATTR_FIELD_MEMORY_TYPE;
  param.memory_type = slot.type;
  if (!registered || slot.registration == nullptr) return;
  param.op_attr_mask |= UCP_OP_ATTR_FIELD_MEMH;
  param.memh = slot.registration;
}

}  // namespace

Status UcxWorker::send(const Lock&, Endpoint& endpoint, MessageId id, Slot& slot,
                       std::size_t bytes) noexcept {
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_FLAGS;
  const bool chunk = id == kChunk || id == kAnnouncedChunk;
  param.flags = chunk && !slot.unasked ? chunk_flags_ : static_cast<std::uint32_t>(UCP_AM_SEND_FLAG_EAGER);
  if (slot.gpu != By::kNone) {
    param.flags = 0;  // UCX knows best how it leaves a GPU
    param.op_attr_mask |=
        UCP_OP_ATTR_FLAG_NO_IMM_CMPL;  // else it may read short ones without asking what they are
  }
  describe_room(param, slot, !endpoint.by_detour);
  param.cb.send = on_sent;
  param.user_data = &slot;
  slot.endpoint = &endpoint;
  if (slot.awaited) ++endpoint.in_flight;
  const ucs_status_ptr_t request = ucp_am_send_nbx(endpoint.handle.get(), id, slot.header, slot.header_bytes,
                                                   slot.room.data(), bytes, &param);
  if (request == nullptr || UCS_PTR_IS_ERR(request)) finish(slot);
  if (UCS_PTR_IS_ERR(request))
    return {Code::peer, text("ucp_am_send_nbx: ", ucs_status_string(UCS_PTR_STATUS(request)))};
  return {};
}

/// A message has left, or never will.
void UcxWorker::finish(Slot& slot) noexcept {
  if (slot.awaited) {
    --slot.endpoint->in_flight;
    if (slot.owner != nullptr) slot.owner->sent();
  }
  slot.pool->give(slot);
}

void UcxWorker::on_sent(void* request, ucs_status_t status, void* user_data) {
  Slot& slot = *static_cast<Slot*>(user_data);
  if (status != UCS_OK) log::debug("a message was not sent: ", ucs_status_string(status));
  finish(slot);
  ucp_request_free(request);
}

UcxChannel* UcxWorker::find(const Prefix& prefix) const noexcept {
  const auto transport = transports_.find(prefix.communicator);
  return transport == transports_.end() ? nullptr : transport->second->find(prefix.source);
}

template <typename Message>
bool UcxWorker::read_header(Message& message, const void* header, std::size_t bytes) noexcept {
  if (bytes != sizeof(Message)) {
    log::error("a message with a header of ", bytes, " bytes instead of ", sizeof(Message), " was dropped");
    return false;
  }
  std::memcpy(&message, header, sizeof(Message));
  return true;
}

ucs_status_t UcxWorker::on_announcement(void* worker, const void* header, std::size_t header_bytes,
                                        void* data, std::size_t bytes, const ucp_am_recv_param_t*) {
  AnnouncementMessage message;
  if (!read_header(message, header, header_bytes)) return UCS_OK;
  return static_cast<UcxWorker*>(worker)->receive_announcement(message, data, bytes);
}

ucs_status_t UcxWorker::on_chunk(void* worker, const void* header, std::size_t header_bytes, void* data,
                                 std::size_t bytes, const ucp_am_recv_param_t* param) {
  ChunkMessage message;
  if (!read_header(message, header, header_bytes)) return UCS_OK;
  const bool rendezvous = (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) != 0;
  return static_cast<UcxWorker*>(worker)->receive_chunk(message, data, bytes, rendezvous);
}

ucs_status_t UcxWorker::on_announced_chunk(void* worker, const void* header, std::size_t header_bytes,
                                           void* data, std::size_t bytes, const ucp_am_recv_param_t* param) {
  AnnouncedChunkMessage message;
  if (!read_header(message, header, header_bytes)) return UCS_OK;
  AnnouncementMessage announcement{message.prefix, message.announcement};
  announcement.prefix.sequence = message.announcements;
  UcxWorker& self = *static_cast<UcxWorker*>(worker);
  self.receive_announcement(announcement, nullptr, 0);
  const bool rendezvous = (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) != 0;
  return self.receive_chunk({message.prefix, message.chunk}, data, bytes, rendezvous);
}

ucs_status_t UcxWorker::on_credit(void* worker, const void* header, std::size_t header_bytes, void*,
                                  std::size_t, const ucp_am_recv_param_t*) {
  CreditMessage message;
  if (!read_header(message, header, header_bytes)) return UCS_OK;
  UcxChannel* const channel = static_cast<UcxWorker*>(worker)->find(message.prefix);
  if (channel != nullptr)
    channel->take_credits(message.prefix.credits);
  else
    log::debug("credit for communicator ", message.prefix.communicator, " came after its end");
  return UCS_OK;
}

ucs_status_t UcxWorker::receive_announcement(const AnnouncementMessage& message, void* data,
                                             std::size_t bytes) noexcept {
  void* const kept = bytes > 0 ? data : nullptr;
  const ucs_status_t keep = kept != nullptr ? UCS_INPROGRESS : UCS_OK;
  if (UcxChannel* const channel = find(message.prefix))
    return channel->take_announcement(message, kept) ? keep : UCS_OK;
  try {
    const auto transport = transports_.find(message.prefix.communicator);
    if (transport != transports_.end()) transport->second->count_arrival();
    if (early_.keep({message, kept})) return keep;
    log::debug("announcement for communicator ", message.prefix.communicator, " came after its end");
  } catch (const std::exception&) {
    failed_ = true;
  }
  return UCS_OK;
}

ucs_status_t UcxWorker::receive_chunk(const ChunkMessage& message, void* data, std::size_t bytes,
                                      bool rendezvous) noexcept {
  UcxChannel* const channel = find(message.prefix);
  if (channel == nullptr) {
    log::debug("chunk for communicator ", message.prefix.communicator, " came after its end");
    return UCS_OK;
  }
  if (bytes != message.chunk.payload_bytes || bytes > chunk_bytes_ || !channel->open_chunk(message))
    return UCS_OK;
  if (rendezvous) return fetch_chunk(*channel, message, data, bytes);
  channel->put_chunk(message.prefix.sequence, bytes > 0 ? data : nullptr, nullptr);
  return bytes > 0 ? UCS_INPROGRESS : UCS_OK;
}

/// A slot for a chunk of `bytes` bytes that comes; null without memory.
Slot* UcxWorker::take_to_fetch(UcxChannel& channel, By reader, std::size_t bytes) noexcept {
  if (Slot* const slot = gpu_slots_.take_to_receive(*this, channel, reader)) return slot;
  const std::size_t cells = budget_.cells(bytes);
  try {
    SlotPool& pool = fetches_[cells];
    if (Slot* const slot = pool.take(channel)) return slot;
    const std::size_t room = std::min(cells * budget_.short_bytes(), chunk_bytes_);
    pool.add(*this, context_, std::max(kAddedAtATime / room, std::size_t{1}), room);
    return pool.take(channel);
  } catch (const std::exception&) {
    failed_ = true;
    return nullptr;
  }
}

bool UcxWorker::bring_to_host(const Lock&, UcxChannel& owner, Slot*& slot, std::size_t bytes) noexcept {
  Slot* const host = take_to_fetch(owner, {}, bytes);
  if (host == nullptr) return false;
  try {
    gpu_slots_.copy_to_host(*slot, host->room.first(bytes));
  } catch (const std::exception& error) {
    log::debug("a chunk does not leave its GPU: ", error.what());
    host->pool->give(*host);
    return false;
  }
  slot->pool->give(*slot);
  slot = host;
  return true;
}

/// Lets the rendezvous protocol write into a slot of this rank; credit guarantees that one is free.
ucs_status_t UcxWorker::fetch_chunk(UcxChannel& channel, const ChunkMessage& message, void* data,
                                    std::size_t bytes) noexcept {
  // Packets have more in them than what a GPU reads.
  Slot* const slot =
      take_to_fetch(channel, message.chunk.payload == Payload::data ? channel.reader() : By{}, bytes);
  if (slot == nullptr) {
    channel.lose_chunk();
    return UCS_OK;
  }
  slot->sequence = message.prefix.sequence;
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  describe_room(param, *slot, true);
  param.cb.recv_am = on_fetched;
  param.user_data = slot;
  const ucs_status_ptr_t request =
      ucp_am_recv_data_nbx(worker_.get(), data, slot->room.data(), bytes, &param);
  if (request == nullptr || UCS_PTR_IS_ERR(request)) fetched(*slot, UCS_PTR_STATUS(request));
  return UCS_INPROGRESS;
}

void UcxWorker::on_fetched(void* request, ucs_status_t status, std::size_t, void* user_data) {
  Slot& slot = *static_cast<Slot*>(user_data);
  slot.worker->fetched(slot, status);
  ucp_request_free(request);
}

void UcxWorker::fetched(Slot& slot, ucs_status_t status) noexcept {
  if (slot.owner == nullptr) {
    slot.pool->give(slot);
  } else if (status == UCS_OK) {
    slot.owner->put_chunk(slot.sequence, nullptr, &slot);
  } else {
    log::debug("a chunk was not received: ", ucs_status_string(status));
    slot.owner->lose_chunk();
    slot.pool->give(slot);
  }
}

}  // namespace mpix::transport::ucx
