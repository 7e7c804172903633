// SPDX-License-Identifier: BSD-3-Clause
#include "transport/shm/channel.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>

#include "base/text.hpp"

namespace mpix::transport::shm {
namespace {

/// Chunks from this size on are measured and may be written past the caches.
constexpr std::size_t kMeasured = 8 << 10;

std::uint64_t now() noexcept {
  const auto time = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(time).count());
}

/// Whether the process has ended but was not yet waited for.
bool is_zombie(pid_t pid) {
  const std::string path = text("/proc/", pid, "/stat");
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  char state = '?';
  return file != nullptr && std::fscanf(file.get(), "%*d (%*[^)]) %c", &state) == 1 && state == 'Z';
}

}  // namespace

std::byte* ShmChannel::announce_begin() noexcept {
  if (entries_sent_ - entries_drained_ == kEntries) {
    entries_drained_ = parts_.outbox->read_entries.load(std::memory_order_acquire);
    if (entries_sent_ - entries_drained_ == kEntries) return nullptr;
  }
  return parts_.outbox->entries[entries_sent_ % kEntries].payload;
}

Status ShmChannel::announce_commit(const Announcement& announcement) noexcept {
  Entry& entry = parts_.outbox->entries[entries_sent_ % kEntries];
  entry.exchange = announcement.exchange;
  entry.send_bytes = announcement.send_bytes;
  entry.recv_bytes = announcement.recv_bytes;
  entry.inline_bytes = announcement.inline_bytes;
  entry.abilities = announcement.abilities;
  entry.sequence.store(++entries_sent_, std::memory_order_release);
  return {};
}

const AnnouncementView* ShmChannel::announcement() noexcept {
  const Entry& entry = parts_.inbox->entries[entries_read_ % kEntries];
  if (entry.sequence.load(std::memory_order_acquire) != entries_read_ + 1) return nullptr;
  announcement_.header = {entry.exchange, entry.send_bytes, entry.recv_bytes, entry.inline_bytes,
                          entry.abilities};
  announcement_.payload = entry.payload;
  return &announcement_;
}

void ShmChannel::pop_announcement() noexcept {
  parts_.inbox->read_entries.store(++entries_read_, std::memory_order_release);
}

std::span<std::byte> ShmChannel::chunk_begin(std::size_t want) noexcept {
  if (descriptors_sent_ - descriptors_drained_ == kDescriptors &&
      descriptors_sent_ - chunks_drained() == kDescriptors)
    return {};
  if (!parts_.own_staging.acquire(open_slot_)) return {};
  way_ = want >= kMeasured ? chooser_.next(costs()) : Way::cached;
  write_began_ = now();
  return {parts_.own_staging.slot(open_slot_), std::min(want, parts_.own_staging.slot_bytes())};
}

/// Of writing here and reading there together, where both are known.
Costs ShmChannel::costs() const noexcept {
  Costs sum{};
  for (std::size_t way = 0; way < kWays; ++way) {
    const std::uint32_t write = writing_.cost(static_cast<Way>(way));
    const std::uint32_t read = parts_.outbox->costs[way].load(std::memory_order_relaxed);
    if (write != 0 && read != 0) sum[way] = write + read;
  }
  return sum;
}

Status ShmChannel::chunk_commit(const Chunk& chunk) noexcept {
  Descriptor& descriptor = parts_.outbox->descriptors[descriptors_sent_ % kDescriptors];
  descriptor.chunk = chunk;
  descriptor.slot = open_slot_;
  descriptor.way = way_;
  if (chunk.payload != Payload::descriptor && chunk.payload_bytes >= kMeasured)
    writing_.note(way_, now() - write_began_, chunk.payload_bytes);
  descriptor.sequence.store(++descriptors_sent_, std::memory_order_release);
  return {};
}

void ShmChannel::chunk_cancel() noexcept {
  parts_.own_staging.release(open_slot_);
}

std::uint64_t ShmChannel::chunks_drained() noexcept {
  descriptors_drained_ = parts_.outbox->read_descriptors.load(std::memory_order_acquire);
  return descriptors_drained_;
}

const ChunkView* ShmChannel::chunk() noexcept {
  const Descriptor& descriptor = parts_.inbox->descriptors[descriptors_read_ % kDescriptors];
  if (descriptor.sequence.load(std::memory_order_acquire) != descriptors_read_ + 1) return nullptr;
  chunk_.header = descriptor.chunk;
  chunk_.payload = parts_.peer_staging.slot(descriptor.slot);
  read_began_ = now();
  return &chunk_;
}

void ShmChannel::pop_chunk() noexcept {
  const Descriptor& descriptor = parts_.inbox->descriptors[descriptors_read_ % kDescriptors];
  if (descriptor.chunk.payload != Payload::descriptor && descriptor.chunk.payload_bytes >= kMeasured) {
    reading_.note(descriptor.way, now() - read_began_, descriptor.chunk.payload_bytes);
    parts_.inbox->costs[static_cast<std::size_t>(descriptor.way)].store(reading_.cost(descriptor.way),
                                                                        std::memory_order_relaxed);
  }
  parts_.peer_staging.release(descriptor.slot);
  parts_.inbox->read_descriptors.store(++descriptors_read_, std::memory_order_release);
}

Status ShmChannel::check_peer() noexcept {
  if ((::kill(parts_.pid, 0) == 0 || errno != ESRCH) && !is_zombie(parts_.pid)) return {};
  return {Code::peer, text("rank ", parts_.peer, " (process ", parts_.pid, ") has ended")};
}

}  // namespace mpix::transport::shm
