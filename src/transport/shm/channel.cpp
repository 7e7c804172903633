// SPDX-License-Identifier: BSD-3-Clause
#include "transport/shm/channel.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <utility>

#include "base/clock.hpp"
#include "base/text.hpp"

namespace mpix::transport::shm {
namespace {

/// Chunks from this size on are measured and may be written past the caches.
constexpr std::size_t kMeasured = 8 << 10;

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

std::span<std::byte> ShmChannel::chunk_begin(std::size_t want, By writer) noexcept {
  const std::uint64_t taken = descriptors_sent_ + opened_;
  if (taken - descriptors_drained_ == kDescriptors && taken - chunks_drained() == kDescriptors) return {};
  Open open;
  if (!parts_.own_staging.acquire(open.slot)) return {};
  if (writer.gpu == By::kNone) {
    way_ = open.way = want >= kMeasured ? chooser_.next(costs()) : Way::cached;
    open.began = nanoseconds();
  }
  open_[opened_++] = open;
  return {parts_.own_staging.slot(open.slot), std::min(want, parts_.own_staging.slot_bytes())};
}

/// Takes a room from the open ones.
ShmChannel::Open ShmChannel::close(const std::byte* room) noexcept {
  std::size_t at = opened_ - 1;
  while (at > 0 && parts_.own_staging.slot(open_[at].slot) != room) --at;
  --opened_;
  return std::exchange(open_[at], open_[opened_]);
}

/// Of writing here and reading there together, where both are known.
memory::Costs ShmChannel::costs() const noexcept {
  memory::Costs sum{};
  for (std::size_t way = 0; way < memory::kWays; ++way) {
    const std::uint32_t write = writing_.cost(static_cast<Way>(way));
    const std::uint32_t read = parts_.outbox->costs[way].load(std::memory_order_relaxed);
    if (write != 0 && read != 0) sum[way] = write + read;
  }
  return sum;
}

Status ShmChannel::chunk_commit(const std::byte* room, const Chunk& chunk) noexcept {
  const Open open = close(room);
  Descriptor& descriptor = parts_.outbox->descriptors[descriptors_sent_ % kDescriptors];
  descriptor.chunk = chunk;
  descriptor.slot = open.slot;
  descriptor.way = open.way;
  if (open.began != 0 && chunk.payload != Payload::descriptor && chunk.payload_bytes >= kMeasured)
    writing_.note(open.way, nanoseconds() - open.began, chunk.payload_bytes);
  descriptor.sequence.store(++descriptors_sent_, std::memory_order_release);
  return {};
}

void ShmChannel::chunk_cancel(const std::byte* room) noexcept {
  parts_.own_staging.release(close(room).slot);
}

std::uint64_t ShmChannel::chunks_drained() noexcept {
  descriptors_drained_ = parts_.outbox->read_descriptors.load(std::memory_order_acquire);
  return descriptors_drained_;
}

const ChunkView* ShmChannel::chunk(std::size_t ahead, By reader, std::uint64_t) noexcept {
  const std::uint64_t number = descriptors_read_ + ahead;
  const Descriptor& descriptor = parts_.inbox->descriptors[number % kDescriptors];
  if (ahead >= kDescriptors || descriptor.sequence.load(std::memory_order_acquire) != number + 1)
    return nullptr;
  chunk_.header = descriptor.chunk;
  chunk_.payload = parts_.peer_staging.slot(descriptor.slot);
  read_began_ = reader.gpu == By::kNone ? nanoseconds() : 0;
  return &chunk_;
}

void ShmChannel::pop_chunk() noexcept {
  const Descriptor& descriptor = parts_.inbox->descriptors[descriptors_read_ % kDescriptors];
  if (read_began_ != 0 && descriptor.chunk.payload != Payload::descriptor &&
      descriptor.chunk.payload_bytes >= kMeasured) {
    reading_.note(descriptor.way, nanoseconds() - read_began_, descriptor.chunk.payload_bytes);
    parts_.inbox->costs[static_cast<std::size_t>(descriptor.way)].store(reading_.cost(descriptor.way),
                                                                        std::memory_order_relaxed);
  }
  parts_.peer_staging.release(descriptor.slot);
  parts_.inbox->read_descriptors.store(++descriptors_read_, std::memory_order_release);
}

void ShmChannel::leave_note(std::span<const std::byte> note) noexcept {
  std::copy_n(note.begin(), std::min(note.size(), kNoteBytes), parts_.outbox->note);
  parts_.outbox->note_bytes.store(static_cast<std::uint32_t>(std::min(note.size(), kNoteBytes)),
                                  std::memory_order_release);
}

std::span<const std::byte> ShmChannel::note() noexcept {
  const std::size_t bytes = parts_.inbox->note_bytes.load(std::memory_order_acquire);
  return {parts_.inbox->note, std::min(bytes, kNoteBytes)};
}

Status ShmChannel::check_peer() noexcept {
  if ((::kill(parts_.pid, 0) == 0 || errno != ESRCH) && !is_zombie(parts_.pid)) return {};
  return {Code::peer, text("rank ", parts_.peer, " (process ", parts_.pid, ") has ended")};
}

}  // namespace mpix::transport::shm
