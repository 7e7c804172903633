// SPDX-License-Identifier: BSD-3-Clause
#include "engine/packet.hpp"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "engine/attach_copy.hpp"

namespace mpix::engine {
namespace {

constexpr std::size_t data_place(std::size_t dests, std::size_t entries) {
  const std::size_t end = sizeof(PacketHeader) + dests * sizeof(PacketDest) + entries * sizeof(PacketEntry) +
                          kPacketAlignment - 1;
  return end / kPacketAlignment * kPacketAlignment;
}

static_assert(sizeof(PacketHeader) % alignof(PacketEntry) == 0);

/// Entries come before receivers, whose size is not a multiple of the entries' alignment.
PacketEntry* entries_in(std::byte* packet) {
  return reinterpret_cast<PacketEntry*>(packet + sizeof(PacketHeader));
}
PacketDest* dests_in(std::byte* packet, std::size_t entries) {
  return reinterpret_cast<PacketDest*>(packet + sizeof(PacketHeader) + entries * sizeof(PacketEntry));
}

}  // namespace

bool read_packet(const std::byte* payload, std::size_t size, PacketView& view) noexcept {
  if (size < sizeof(PacketHeader)) return false;
  std::memcpy(&view.header, payload, sizeof view.header);
  const PacketHeader& header = view.header;
  const std::size_t place = data_place(header.dests, header.entries);
  if (header.data != place || place > size || header.bytes > size - place) return false;
  auto* const packet = const_cast<std::byte*>(payload);  // read only
  view.entries = {entries_in(packet), header.entries};
  view.dests = {dests_in(packet, header.entries), header.dests};
  view.data = payload + header.data;
  const auto fits = [&](const PacketEntry& e) {
    return e.data <= header.bytes && e.bytes <= header.bytes - e.data;
  };
  const auto known = [&](const PacketDest& d) {
    return d.first <= header.entries && d.count <= header.entries - d.first;
  };
  return std::all_of(view.entries.begin(), view.entries.end(), fits) &&
         std::all_of(view.dests.begin(), view.dests.end(), known);
}

namespace {

/// Goes through a receiver's entries and calls use(entry, data, fresh) for each that fits `room` in one
/// packet: the entry as it stands there, and whether its data is not yet in the packet. Moves entry and
/// within on.
template <typename Use>
std::uint32_t fit_part(std::size_t room, std::span<const PacketEntry> entries, std::uint32_t& entry,
                       std::uint32_t& within, std::uint32_t& data, Use use) {
  std::uint32_t count = 0;
  const PacketEntry* last = nullptr;  // whole in this packet
  while (entry < entries.size()) {
    const PacketEntry& from = entries[entry];
    const bool repeated = last != nullptr && last->data == from.data && last->bytes == from.bytes;
    const std::size_t taken = data_place(1, count + 1) + data;
    const std::uint32_t left = from.bytes - within;
    if (!repeated && taken >= room && left > 0) break;
    if (repeated && taken > room) break;
    const auto bytes =
        repeated ? left
                 : static_cast<std::uint32_t>(std::min<std::size_t>(left, room - std::min(room, taken)));
    const std::uint32_t place = repeated ? data - bytes : data;
    use(PacketEntry{place, bytes, from.offset + within}, from.data + within, !repeated);
    ++count;
    if (!repeated) data += bytes;
    if (bytes < left) {
      within += bytes;
      break;
    }
    last = within == 0 ? &from : nullptr;
    within = 0;
    ++entry;
  }
  return count;
}

}  // namespace

std::size_t write_part(std::span<std::byte> room, const PacketView& packet, const PacketDest& dest,
                       std::uint32_t& entry, std::uint32_t& within) noexcept {
  const std::span<const PacketEntry> entries = packet.entries_of(dest);
  PacketHeader header = packet.header;
  std::uint32_t entry_end = entry, within_end = within;
  header.dests = 1;
  header.bytes = 0;
  header.entries = fit_part(room.size(), entries, entry_end, within_end, header.bytes,
                            [](const PacketEntry&, std::uint32_t, bool) {});
  header.data = static_cast<std::uint32_t>(data_place(1, header.entries));
  std::memcpy(room.data(), &header, sizeof header);
  *dests_in(room.data(), header.entries) = {dest.local, 0, header.entries};
  PacketEntry* next = entries_in(room.data());
  std::byte* const target = room.data() + header.data;
  std::uint32_t data = 0;
  fit_part(room.size(), entries, entry, within, data,
           [&](const PacketEntry& made, std::uint32_t source, bool fresh) {
             *next++ = made;
             if (fresh) std::memcpy(target + made.data, packet.data + source, made.bytes);
           });
  return header.data + header.bytes;
}

void advance(const plan::NodeSend& send, UniqueCursor& cursor, std::int64_t bytes) noexcept {
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

/// How far a packet reaches, and how many entries each receiver has in it.
PacketWriter::Measure PacketWriter::measure(std::size_t room, const plan::NodeSend& send, UniqueCursor cursor,
                                            std::int64_t most) noexcept {
  std::fill(counts_.begin(), counts_.end(), 0);
  Measure measured;
  measured.end = cursor;
  while (measured.bytes < most) {
    const auto range = static_cast<std::size_t>(measured.end.range);
    if (range == send.lengths.size()) break;
    std::uint32_t dests = measured.dests, entries = measured.entries;
    for (std::int64_t d = send.first[range]; d < send.first[range + 1]; ++d) {
      const auto local = static_cast<std::size_t>(send.deliveries[static_cast<std::size_t>(d)].local);
      if (counts_[local] == 0)
        ++dests;  // a receiver of two entries of the range may be counted twice: harmless
      ++entries;
    }
    const std::size_t taken = data_place(dests, entries) + static_cast<std::size_t>(measured.bytes);
    if (taken >= room) break;
    const std::int64_t left = send.lengths[range] - measured.end.within;
    const std::int64_t bytes =
        std::min({left, most - measured.bytes, static_cast<std::int64_t>(room - taken)});
    for (std::int64_t d = send.first[range]; d < send.first[range + 1]; ++d) {
      const auto local = static_cast<std::size_t>(send.deliveries[static_cast<std::size_t>(d)].local);
      if (counts_[local]++ == 0) ++measured.dests;
      ++measured.entries;
    }
    measured.bytes += bytes;
    advance(send, measured.end, bytes);
  }
  return measured;
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

Status PacketWriter::write(std::span<std::byte> room, const PacketHeader& header, const plan::NodeSend& send,
                           UniqueCursor& cursor, std::int64_t most, const PacketSource& source,
                           kernels::Stores stores, PacketExtent& extent) noexcept {
  const Measure measured = measure(room.size(), send, cursor, most);
  PacketHeader full = header;
  full.dests = measured.dests;
  full.entries = measured.entries;
  full.data = static_cast<std::uint32_t>(data_place(measured.dests, measured.entries));
  full.bytes = static_cast<std::uint32_t>(measured.bytes);
  std::memcpy(room.data(), &full, sizeof full);
  PacketDest* dest = dests_in(room.data(), full.entries);
  std::uint32_t first = 0;
  for (std::size_t local = 0; local < counts_.size(); ++local) {
    if (counts_[local] == 0) continue;
    *dest++ = {static_cast<std::int32_t>(local), first, counts_[local]};
    first += std::exchange(counts_[local], first);
  }
  PacketEntry* const entries = entries_in(room.data());
  UniqueCursor at = cursor;
  std::int64_t delivered = 0;
  for (std::int64_t done = 0; done < measured.bytes;) {
    const auto range = static_cast<std::size_t>(at.range);
    const std::int64_t bytes = std::min(send.lengths[range] - at.within, measured.bytes - done);
    for (std::int64_t d = send.first[range]; d < send.first[range + 1]; ++d) {
      const plan::Delivery& delivery = send.deliveries[static_cast<std::size_t>(d)];
      const auto local = static_cast<std::size_t>(delivery.local);
      entries[counts_[local]++] = {static_cast<std::uint32_t>(done), static_cast<std::uint32_t>(bytes),
                                   delivery.offset + at.within};
    }
    done += bytes;
    delivered += bytes * (send.first[range + 1] - send.first[range]);
    advance(send, at, bytes);
  }
  device::Ticket ticket = 0;
  Status status = source.read(send, cursor, room.data() + full.data, full.bytes, stores, ticket);
  cursor = measured.end;
  extent = {full.data + full.bytes, measured.bytes, delivered, ticket};
  return status;
}

}  // namespace mpix::engine
