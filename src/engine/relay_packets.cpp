// SPDX-License-Identifier: BSD-3-Clause
// How a relay hands packets out to the ranks of its node, and takes what they hand to it.
#include <utility>

#include "base/text.hpp"
#include "engine/relay.hpp"

namespace mpix::engine {

using transport::Channel;
using transport::ChunkView;
using transport::Payload;

/// Reads a packet, or where kept lists are put together, its next part.
Status Relay::read(HandingOut& out, std::span<const std::byte> payload) noexcept {
  PacketView& packet = out.packet;
  try {
    Status status = read_packet(payload.data(), payload.size(), packet);
    if (!status.ok()) return status;
    packet.data += out.from;
    if (packet.header.recalls()) return recall(out);
    out.part_bytes = packet.header.bytes;
    out.kept.keep(packet.header, payload.data() + sizeof packet.header);
    return {};
  } catch (const std::exception& error) {
    return {Code::no_memory, error.what()};
  }
}

/// Finds what is kept of the next part.
Status Relay::recall(HandingOut& out) {
  PacketView& packet = out.packet;
  KeptPart* const part = out.kept.whole_part(packet.header, out.from, out.part_bytes);
  if (part != nullptr && part->complete()) {
    out.again = part;
    kept_parts_.use(*part, packet.header.exchange);
    part->set_busy(true);
    return {};
  }
  Status status = out.kept.recall(packet.header, out.from, packet, out.part_bytes);
  if (part == nullptr || !status.ok()) return status;
  if (!kept_parts_.begin(*part, packet.header.exchange, packet.dests.size(), packet.entries.size()))
    return {};
  out.noting = part;
  part->set_busy(true);
  return {};
}

void Relay::HandingOut::end_part() noexcept {
  if (again != nullptr) again->set_busy(false);
  if (noting != nullptr) {
    noting->set_busy(false);
    noting->set_complete();
  }
  from += part_bytes;
  dest = 0;
  part = {};
  again = noting = nullptr;
  read = false;
}

/// Hands out the packet at a channel's head; sets `whole` once all of it has been handed out.
Status Relay::hand_out(HandingOut& out, int rank, std::span<const std::byte> payload, RelayClient& client,
                       bool& happened, bool& whole) noexcept {
  do {
    Status status;
    if (!out.read) status = read(out, payload);
    out.read = status.ok();
    whole = status.ok() && hand_out_part(out, client, happened, status);
    if (!status.ok()) return {status.code(), text("from rank ", rank, ": ", status.message())};
    if (!whole) return {};
    out.end_part();
  } while (out.from < out.packet.header.bytes);
  client.forwarded(out.packet.header.exchange, out.packet.header.bytes);
  out.from = 0;
  return {};
}

bool Relay::hand_out_part(HandingOut& out, RelayClient& client, bool& happened, Status& status) noexcept {
  try {
    return out.again != nullptr ? hand_out_again(out, client, happened, status)
                                : hand_out_entries(out, client, happened, status);
  } catch (const Error& error) {
    status = error.status();
  } catch (const std::exception& error) {
    status = {Code::no_memory, error.what()};
  }
  return false;
}

/// Whether every receiver has its part.
bool Relay::hand_out_entries(HandingOut& out, RelayClient& client, bool& happened, Status& status) {
  const PacketView& packet = out.packet;
  for (; out.dest < packet.dests.size(); ++out.dest, out.part = {}) {
    const PacketDest& dest = packet.dests[out.dest];
    const auto local = static_cast<std::size_t>(dest.local);
    if (local >= node_channels_.size()) {
      status = {Code::internal, "a packet is for a rank that this node does not have"};
      return false;
    }
    if (local == self_) {
      const PacketPart part{dest, packet.entries_of(dest), packet.data, out.part_bytes};
      if (client.deliver(packet.header, part) == Taken::not_now) return false;
      note_own(out, part);
    } else if (!hand_to(out, dest, happened, status)) {
      return false;
    }
  }
  return true;
}

/// Whether another rank of the node has been given its whole part, in as many packets as that takes.
bool Relay::hand_to(HandingOut& out, const PacketDest& dest, bool& happened, Status& status) {
  const PacketView& packet = out.packet;
  const auto local = static_cast<std::size_t>(dest.local);
  if (!takes(local, packet.header.exchange)) return false;
  part_writer_.prepare(dest);
  Channel& to = node_channel(local);
  while (!at_end(dest, out.part)) {
    const std::span<std::byte> room = to.chunk_begin(to.chunk_limit());
    if (room.empty()) return false;
    const std::uint32_t number = out.noting != nullptr ? kept_parts_.numbers(local).take() : 0;
    const std::size_t payload = part_writer_.write(room, packet, dest, out.part, number);
    if (!note(out, local, number)) keep_no_lists(room);
    status = hand_on(local, room.data(), packet.header.exchange, payload);
    if (!status.ok()) return false;
    happened = true;
  }
  return true;
}

/// Whether the receiver of the packet that was written last is to keep its entries, under `number`.
bool Relay::note(HandingOut& out, std::size_t local, std::uint32_t number) noexcept {
  if (out.noting == nullptr) return false;
  if (number != 0) {
    KeptPacket packet(local, kept_parts_.numbers(local), number);
    try {
      packet.set_rows(part_writer_.copies());
      out.noting->add(std::move(packet));
      return true;
    } catch (const std::exception&) {  // it is done without
    }
  }
  stop_noting(out);
  return false;
}

void Relay::note_own(HandingOut& out, const PacketPart& part) noexcept {
  if (out.noting == nullptr) return;
  try {
    out.noting->add({self_, out.packet.header, part});
  } catch (const std::exception&) {  // likewise
    stop_noting(out);
  }
}

void Relay::stop_noting(HandingOut& out) noexcept {
  out.noting->set_busy(false);
  kept_parts_.drop(*std::exchange(out.noting, nullptr));
}

/// Whether every receiver has its packets again.
bool Relay::hand_out_again(HandingOut& out, RelayClient& client, bool& happened, Status& status) {
  const PacketHeader& header = out.packet.header;
  const std::span<const KeptPacket> packets = out.again->packets();
  for (; out.dest < packets.size(); ++out.dest) {
    const KeptPacket& packet = packets[out.dest];
    if (KeptEntries* const own = packet.own()) {
      if (client.deliver(header, own->part(out.packet.data)) == Taken::not_now) return false;
      continue;
    }
    if (!takes(packet.local(), header.exchange)) return false;
    Channel& to = node_channel(packet.local());
    const std::span<std::byte> room = to.chunk_begin(packet.payload());
    if (room.empty()) return false;
    packet.write(room.data(), header, out.packet.data, *parts_.kernels);
    status = hand_on(packet.local(), room.data(), header.exchange, packet.payload());
    if (!status.ok()) return false;
    happened = true;
  }
  return true;
}

/// Whether that rank of the node takes packets of the exchange.
bool Relay::takes(std::size_t local, std::uint64_t exchange) const noexcept {
  return parts_.board->line(local).takes.load(std::memory_order_acquire) >= exchange;
}

/// Sends a packet that was written to another rank of the node.
Status Relay::hand_on(std::size_t local, const std::byte* packet, std::uint64_t exchange,
                      std::size_t payload) {
  const transport::Chunk chunk{exchange, 0, static_cast<std::int64_t>(payload), Payload::packet,
                               static_cast<std::uint32_t>(payload)};
  Status status = node_channel(local).chunk_commit(packet, chunk);
  if (status.ok()) parts_.board->line(local).bell.fetch_add(1, std::memory_order_release);
  return status;
}

/// Takes what another rank of the node hands on.
Status Relay::take_node(std::size_t local, RelayClient& client, bool& happened) {
  Channel& from = node_channel(local);
  while (const ChunkView* const chunk = from.chunk()) {
    bool taken = false;
    Status status =
        take_packet(node_kept_[local], {chunk->payload, chunk->header.payload_bytes}, client, taken);
    if (!status.ok()) return status;
    if (!taken) {
      more_ = true;
      return {};
    }
    from.pop_chunk();
    happened = true;
  }
  return {};
}

/// Takes one packet from a rank of which `kept` is kept.
Status Relay::take_packet(NodeKept& kept, std::span<const std::byte> payload, RelayClient& client,
                          bool& taken) {
  PacketView& packet = node_packet_;
  Status status = read_packet(payload.data(), payload.size(), packet);
  if (!status.ok()) return status;
  const PacketHeader& header = packet.header;
  if (header.list > kMostNodeNumber) return {Code::internal, "a rank of this node sent a bad packet"};
  if (header.recalls()) {
    KeptEntries* const entries = header.list <= kept.size() ? kept[header.list - 1].get() : nullptr;
    if (entries == nullptr || !entries->fit(header))
      return {Code::internal, "a rank of this node sent a packet without lists, and none are kept"};
    taken = client.deliver(header, entries->part(packet.data)) == Taken::all;
    return {};
  }
  if (packet.dests.size() != 1) return {Code::internal, "a rank of this node sent a packet for others"};
  const PacketDest& dest = packet.dests.front();
  const PacketPart part{dest, packet.entries_of(dest), packet.data, header.bytes};
  taken = client.deliver(header, part) == Taken::all;
  if (!taken || header.list == 0) return {};
  if (kept.size() < header.list) kept.resize(header.list);
  kept[header.list - 1] = std::make_unique<KeptEntries>(header.source, part.bytes, dest, part.entries);
  return {};
}

}  // namespace mpix::engine
