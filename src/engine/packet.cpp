// SPDX-License-Identifier: BSD-3-Clause
#include "engine/packet.hpp"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "engine/attach_copy.hpp"

namespace mpix::engine {
namespace {

/// Of `left` bytes, those that go into `room` bytes.
std::int64_t cut(std::int64_t left, std::int64_t room) noexcept {
  return left <= room ? left : room / kPacketCut * kPacketCut;
}

bool makes_sense(const PacketView& view) noexcept {
  const auto fits = [&](const PacketEntry& e) {
    return e.data <= view.header.bytes && e.bytes <= view.header.bytes - e.data;
  };
  return std::all_of(view.entries.begin(), view.entries.end(), fits);
}

/// Writes header and lists; returns where the data goes.
std::byte* put_lists(std::byte* packet, PacketHeader& header, std::span<const PacketDest> dests,
                     std::span<const PacketEntry> entries) noexcept {
  header.dests = static_cast<std::uint32_t>(dests.size());
  header.entries = static_cast<std::uint32_t>(entries.size());
  header.lists = static_cast<std::uint32_t>(encode_lists(packet + sizeof header, dests, entries));
  std::memcpy(packet, &header, sizeof header);
  return packet + data_place(header.lists);
}

}  // namespace

Status read_packet(const std::byte* payload, std::size_t size, PacketView& view) noexcept {
  const Status bad(Code::internal, "a packet cannot be read");
  if (size < sizeof(PacketHeader)) return bad;
  std::memcpy(&view.header, payload, sizeof view.header);
  const PacketHeader& header = view.header;
  const std::size_t data = data_place(header.lists);
  if (data > size || header.bytes > size - data || header.dests > header.lists ||
      header.entries > header.lists || header.position < 0 || header.position > INT64_MAX - header.bytes)
    return bad;
  try {
    view.dests.resize(header.dests);
    view.entries.resize(header.entries);
  } catch (const std::exception& error) {
    return {Code::no_memory, error.what()};
  }
  view.data = payload + data;
  if (header.recalls()) return {};
  const bool read = decode_lists({payload + sizeof header, header.lists}, view.dests, view.entries);
  return read && makes_sense(view) ? Status() : bad;
}

void keep_no_lists(std::span<std::byte> packet) noexcept {
  PacketHeader header;
  std::memcpy(&header, packet.data(), sizeof header);
  header.list = 0;
  std::memcpy(packet.data(), &header, sizeof header);
}

void PartWriter::prepare(const PacketDest& dest) {
  entries_.reserve(dest.count);
  copies_.reserve(dest.count);
}

std::size_t PartWriter::write(std::span<std::byte> room, const PacketView& packet, const PacketDest& dest,
                              PartCursor& cursor, std::uint32_t list) noexcept {
  PacketDest part = dest;
  part.first = 0;
  part.introduces = dest.introduces && !cursor.introduced;
  cursor.introduced = true;
  const std::size_t lists =
      kUnitBytes + kMostDestBytes + (part.introduces ? kMostIntroductionBytes : std::size_t{0});
  PacketHeader header;
  header.exchange = packet.header.exchange;
  header.source = packet.header.source;
  header.list = list;
  header.bytes = select(room.size(), lists, packet.entries_of(dest), cursor);
  part.count = static_cast<std::uint32_t>(entries_.size());
  std::byte* const data = put_lists(room.data(), header, {&part, 1}, entries_);
  for (const Copy& copy : copies_) std::memcpy(data + copy.to, packet.data + copy.from, copy.bytes);
  return data_place(header.lists) + header.bytes;
}

/// Lists the entries that fit, and what they need of the packet's data, each byte once; returns how much that
/// is. `lists`: bytes of the lists before the entries.
std::uint32_t PartWriter::select(std::size_t room, std::size_t lists, std::span<const PacketEntry> entries,
                                 PartCursor& cursor) noexcept {
  Unit unit;
  for (const PacketEntry& entry : entries) unit.see(entry);
  unit.see(cursor.within);
  unit.see(kPacketCut);
  entries_.clear();
  copies_.clear();
  std::uint32_t data = 0;
  const PacketEntry* whole = nullptr;  // the last of `entries`, if it was taken as a whole
  PacketEntry last;
  while (cursor.entry < entries.size()) {
    const PacketEntry& from = entries[cursor.entry];
    const bool repeated = whole != nullptr && whole->data == from.data && whole->bytes == from.bytes;
    const std::uint32_t left = from.bytes - cursor.within;
    PacketEntry entry{repeated ? data - left : data, left, from.offset + cursor.within};
    lists += entry_bytes(last, entry, unit.exponent());
    const std::size_t taken = data_place(lists) + data;
    if (taken > room) break;
    if (!repeated)
      entry.bytes = static_cast<std::uint32_t>(cut(left, static_cast<std::int64_t>(room - taken)));
    if (entry.bytes == 0 && left > 0) break;
    entries_.push_back(entry);
    if (!repeated) {
      copies_.push_back({from.data + cursor.within, data, entry.bytes});
      data += entry.bytes;
    }
    if (entry.bytes < left) {
      cursor.within += entry.bytes;
      break;
    }
    whole = cursor.within == 0 ? &from : nullptr;
    last = entry;
    cursor.within = 0;
    ++cursor.entry;
  }
  return data;
}

void advance(const plan::NodeSend& send, UniqueCursor& cursor, std::int64_t bytes) noexcept {
  if (send.run > 0) {
    const std::int64_t within = cursor.within + bytes;
    cursor = {cursor.range + within / send.run, within % send.run};
    return;
  }
  while (bytes > 0) {
    const std::int64_t left = send.lengths[static_cast<std::size_t>(cursor.range)] - cursor.within;
    if (bytes < left) {
      cursor.within += bytes;
      return;
    }
    bytes -= left;
    ++cursor.range;
    cursor.within = 0;
  }
}

Status PacketSource::read(const plan::NodeSend& send, UniqueCursor at, std::byte* out, std::size_t bytes,
                          kernels::Stores stores, device::Ticket& ticket) const noexcept {
  if (queue != nullptr) return read_by_gpu(out, bytes, ticket);
  kernels::Cursor from{at.range, at.within};
  if (attached == 0) {
    kernels->gather(base, send.blocks(), from, out, bytes, stores);
    return {};
  }
  const auto total = static_cast<std::int64_t>(bytes);
  kernels::Blocks target;
  target.bytes = target.run = total;
  target.nruns = 1;
  kernels::Cursor to;
  for (std::int64_t done = 0, copied = 0; done < total; done += copied) {
    Status status = attach_copy(attached, {out, target, to},
                                {const_cast<std::byte*>(base), send.blocks(), from}, total - done, copied);
    if (!status.ok()) return status;
  }
  return {};
}

/// The packet's lists have been written already, so this cannot be put off: where the queue takes no more,
/// what it has is finished first.
Status PacketSource::read_by_gpu(std::byte* out, std::size_t bytes, device::Ticket& ticket) const noexcept {
  std::optional<device::Ticket> taken = queue->gather(side, out, bytes);
  if (!taken) {
    queue->wait();
    taken = queue->gather(side, out, bytes);
  }
  if (!taken)
    return queue->error().ok() ? Status(Code::internal, "the GPU's queue takes no packet") : queue->error();
  ticket = *taken;
  return {};
}

/// Puts as many introductions into the packet as fit.
void PacketWriter::introduce(std::size_t room, std::span<const PacketDest>& introductions,
                             Measure& measured) noexcept {
  for (; !introductions.empty(); introductions = introductions.subspan(1)) {
    const PacketDest& next = introductions.front();
    const std::size_t lists = measured.lists + kMostDestBytes + introduction_bytes(next);
    if (data_place(lists) > room) return;
    measured.lists = lists;
    parts_[static_cast<std::size_t>(next.local)].introduction = &next;
    ++measured.dests;
  }
}

/// Most bytes that the range at `at` takes in the lists, its data beginning at `data`.
std::size_t PacketWriter::list_bytes(const plan::NodeSend& send, const UniqueCursor& at, std::int64_t data,
                                     unsigned unit) const noexcept {
  const auto range = static_cast<std::size_t>(at.range);
  const std::int64_t left = std::min<std::int64_t>(send.lengths[range] - at.within, UINT32_MAX);
  std::size_t bytes = 0;
  std::int32_t before = -1;
  for (std::int64_t d = send.first[range]; d < send.first[range + 1]; ++d) {
    const plan::Delivery& delivery = send.deliveries[static_cast<std::size_t>(d)];
    const Part& part = parts_[static_cast<std::size_t>(delivery.local)];
    const PacketEntry entry{static_cast<std::uint32_t>(data), static_cast<std::uint32_t>(left),
                            delivery.offset + at.within};
    if (!part.used()) bytes += kMostDestBytes;
    bytes += delivery.local == before ? kMostEntryBytes : entry_bytes(part.last, entry, unit);
    before = delivery.local;
  }
  return bytes;
}

/// How far a packet reaches, and what each receiver has in it.
void PacketWriter::measure(std::size_t room, const PacketOrder& order, Measure& measured) noexcept {
  const plan::NodeSend& send = *order.send;
  Unit unit;
  for (const std::int64_t number : {send.grain, measured.end.within, order.most, kPacketCut})
    unit.see(number);
  while (measured.bytes < order.most) {
    const UniqueCursor at = measured.end;
    const auto range = static_cast<std::size_t>(at.range);
    if (range == send.lengths.size()) break;
    const std::size_t lists = measured.lists + list_bytes(send, at, measured.bytes, unit.exponent());
    const std::size_t taken = data_place(lists) + static_cast<std::size_t>(measured.bytes);
    if (taken >= room) break;
    const std::int64_t left = std::min(send.lengths[range] - at.within, order.most - measured.bytes);
    const std::int64_t bytes = cut(left, static_cast<std::int64_t>(room - taken));
    if (bytes == 0) break;
    for (std::int64_t d = send.first[range]; d < send.first[range + 1]; ++d) {
      const plan::Delivery& delivery = send.deliveries[static_cast<std::size_t>(d)];
      Part& part = parts_[static_cast<std::size_t>(delivery.local)];
      if (!part.used()) ++measured.dests;
      ++part.count;
      part.last = {static_cast<std::uint32_t>(measured.bytes), static_cast<std::uint32_t>(bytes),
                   delivery.offset + at.within};
      ++measured.entries;
    }
    measured.lists = lists;
    measured.bytes += bytes;
    advance(send, measured.end, bytes);
  }
}

/// Lists what was measured, from `at` on; returns the bytes times the places that they go to.
std::int64_t PacketWriter::list(const plan::NodeSend& send, UniqueCursor at, const Measure& measured) {
  dests_.clear();
  dests_.reserve(measured.dests);
  entries_.resize(measured.entries);
  std::uint32_t first = 0;
  for (std::size_t local = 0; local < parts_.size(); ++local) {
    Part& part = parts_[local];
    if (!part.used()) continue;
    PacketDest dest{static_cast<std::int32_t>(local), first, part.count};
    dest.introduces = part.introduction != nullptr;
    if (dest.introduces) {
      dest.send_bytes = part.introduction->send_bytes;
      dest.recv_bytes = part.introduction->recv_bytes;
    }
    dests_.push_back(dest);
    part.next = std::exchange(first, first + part.count);
  }
  std::int64_t delivered = 0;
  for (std::int64_t done = 0; done < measured.bytes;) {
    const auto range = static_cast<std::size_t>(at.range);
    const std::int64_t bytes = std::min(send.lengths[range] - at.within, measured.bytes - done);
    for (std::int64_t d = send.first[range]; d < send.first[range + 1]; ++d) {
      const plan::Delivery& delivery = send.deliveries[static_cast<std::size_t>(d)];
      entries_[parts_[static_cast<std::size_t>(delivery.local)].next++] = {
          static_cast<std::uint32_t>(done), static_cast<std::uint32_t>(bytes), delivery.offset + at.within};
    }
    done += bytes;
    delivered += bytes * (send.first[range + 1] - send.first[range]);
    advance(send, at, bytes);
  }
  return delivered;
}

Status PacketWriter::write(std::span<std::byte> room, const PacketOrder& order, UniqueCursor& cursor,
                           std::span<const PacketDest>& introductions, const PacketSource& source,
                           PacketExtent& extent) noexcept {
  std::fill(parts_.begin(), parts_.end(), Part());
  Measure measured;
  measured.end = cursor;
  introduce(room.size(), introductions, measured);
  if (introductions.empty()) measure(room.size(), order, measured);
  PacketHeader header = order.header;
  header.bytes = static_cast<std::uint32_t>(measured.bytes);
  std::int64_t delivered = 0;
  try {
    delivered = list(*order.send, cursor, measured);
  } catch (const std::exception& error) {
    return {Code::no_memory, error.what()};
  }
  std::byte* const data = put_lists(room.data(), header, dests_, entries_);
  device::Ticket ticket = 0;
  Status status;
  if (header.bytes > 0) status = source.read(*order.send, cursor, data, header.bytes, order.stores, ticket);
  cursor = measured.end;
  extent = {data_place(header.lists) + header.bytes, header.lists, measured.bytes, delivered, ticket};
  return status;
}

Status PacketWriter::write_data(std::span<std::byte> room, const PacketOrder& order, UniqueCursor& cursor,
                                const PacketSource& source, PacketExtent& extent) noexcept {
  constexpr std::size_t place = data_place(0);
  PacketHeader header = order.header;
  header.bytes = static_cast<std::uint32_t>(cut(order.most, static_cast<std::int64_t>(room.size() - place)));
  std::memcpy(room.data(), &header, sizeof header);
  extent = {place + header.bytes, 0, header.bytes, 0, 0};
  Status status =
      source.read(*order.send, cursor, room.data() + place, header.bytes, order.stores, extent.ticket);
  advance(*order.send, cursor, header.bytes);
  return status;
}

}  // namespace mpix::engine
