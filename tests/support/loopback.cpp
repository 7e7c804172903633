// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/loopback.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "base/text.hpp"

namespace mpix::test {
namespace {

using transport::Announcement;
using transport::AnnouncementView;
using transport::Chunk;
using transport::ChunkView;

std::byte* aligned_room(std::size_t bytes) {
  void* const memory = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
  if (memory == nullptr) throw std::bad_alloc();
  return static_cast<std::byte*>(memory);
}

}  // namespace

LoopbackChannel::LoopbackChannel(Loopback& network, int rank, int peer, Wire& out, Wire& in)
    : network_(network),
      rank_(rank),
      peer_(peer),
      out_(out),
      in_(in),
      announce_room_(network.options().inline_limit + 1) {}

bool LoopbackChannel::same_node() const noexcept {
  return network_.options().same_node;
}
std::size_t LoopbackChannel::inline_limit() const noexcept {
  return network_.options().inline_limit;
}
std::size_t LoopbackChannel::chunk_limit() const noexcept {
  return network_.options().chunk_limit;
}

void LoopbackChannel::breach(const std::string& what) noexcept {
  network_.note_breach(text("rank ", rank_, " to ", peer_, ": ", what));
}

std::byte* LoopbackChannel::announce_begin() noexcept {
  const std::lock_guard guard(out_.mutex);
  if (out_.announcements.size() >= network_.options().unread_announcements) return nullptr;
  announcing_ = true;
  return announce_room_.data();
}

Status LoopbackChannel::announce_commit(const Announcement& announcement) noexcept {
  if (!announcing_) breach("announce_commit without announce_begin");
  if (announcement.exchange <= last_announced_) breach("announcements out of order");
  if (announcement.inline_bytes > inline_limit()) breach("inline payload too long");
  if (announcement.inline_bytes != 0 && announcement.inline_bytes != announcement.send_bytes)
    breach("inline payload is a part only");
  announcing_ = false;
  last_announced_ = announcement.exchange;
  announced_[announcement.exchange] = announcement.send_bytes - announcement.inline_bytes;
  const std::lock_guard guard(out_.mutex);
  out_.announcements.push_back(
      {announcement, {}, {announce_room_.begin(), announce_room_.begin() + announcement.inline_bytes}});
  return {};
}

const AnnouncementView* LoopbackChannel::announcement() noexcept {
  const std::lock_guard guard(in_.mutex);
  if (in_.announcements.empty()) return nullptr;
  announcement_ = {in_.announcements.front().announcement, in_.announcements.front().payload.data()};
  return &announcement_;
}

void LoopbackChannel::pop_announcement() noexcept {
  const std::lock_guard guard(in_.mutex);
  if (in_.announcements.empty()) return breach("pop_announcement without one");
  in_.announcements.pop_front();
}

std::span<std::byte> LoopbackChannel::chunk_begin(std::size_t want, transport::By writer) noexcept {
  if (want == 0) breach("chunk_begin for nothing");
  const std::lock_guard guard(out_.mutex);
  std::size_t bytes = std::min(want, chunk_limit());
  if (out_.chunks.size() + open_.size() >= network_.options().unread_chunks) return {};
  if (network_.options().credit)
    bytes = std::min(bytes, static_cast<std::size_t>(
                                std::max<std::int64_t>(out_.credit + network_.options().standing, 0)));
  if (network_.options().credit && !open_.empty()) bytes = 0;  // what these will use is not known
  if (bytes == 0 || !network_.take_slot(rank_)) return {};
  open_.push_back({Room(aligned_room(chunk_limit()), std::free), bytes, nullptr});
  if (network_.options().gpus != nullptr && !writer.host)
    open_.back().on_gpu =
        std::make_unique<Adopted>(*network_.options().gpus, static_cast<int>(writer.gpu) - 1,
                                  std::span(open_.back().room.get(), bytes));
  return {open_.back().room.get(), bytes};
}

/// Takes a room from the open ones; one without memory where it is none of them.
LoopbackChannel::OpenRoom LoopbackChannel::close(const std::byte* room, const char* what) noexcept {
  const auto found =
      std::find_if(open_.begin(), open_.end(), [&](const OpenRoom& open) { return open.room.get() == room; });
  if (found == open_.end()) {
    breach(text(what, " without chunk_begin"));
    return {Room(nullptr, std::free), 0, nullptr};
  }
  found->on_gpu.reset();
  std::swap(*found, open_.back());
  OpenRoom closed = std::move(open_.back());
  open_.pop_back();
  return closed;
}

void LoopbackChannel::check_chunk(const Chunk& chunk, std::size_t room) noexcept {
  if (chunk.payload_bytes == 0 || chunk.payload_bytes > room) breach("payload longer than its room");
  if (chunk.payload == transport::Payload::data && chunk.bytes != chunk.payload_bytes)
    breach("data chunk whose size is not its payload's");
  if (!announced_.contains(chunk.exchange)) breach("chunk before the announcement");
  std::int64_t& sent = sent_[chunk.exchange];
  if (chunk.offset != sent) breach("chunks out of order");
  sent += chunk.bytes;
  if (sent > announced_[chunk.exchange]) breach("more chunks than announced");
}

Status LoopbackChannel::chunk_commit(const std::byte* room, const Chunk& chunk) noexcept {
  const OpenRoom closed = close(room, "chunk_commit");
  check_chunk(chunk, closed.bytes);
  std::vector<std::byte> payload(room, room + std::min<std::size_t>(chunk.payload_bytes, closed.bytes));
  const std::lock_guard guard(out_.mutex);
  out_.chunks.push_back({{}, chunk, std::move(payload)});
  out_.credit -= chunk.bytes;
  ++out_.chunks_sent;
  return {};
}

void LoopbackChannel::chunk_cancel(const std::byte* room) noexcept {
  close(room, "chunk_cancel");
  network_.give_slot(rank_);
}

std::uint64_t LoopbackChannel::chunks_sent() const noexcept {
  const std::lock_guard guard(out_.mutex);
  return out_.chunks_sent;
}

std::uint64_t LoopbackChannel::chunks_drained() noexcept {
  const std::lock_guard guard(out_.mutex);
  return out_.chunks_popped;
}

void LoopbackChannel::expect(std::int64_t bytes, transport::By) noexcept {
  if (bytes == 0) breach("expect of nothing");
  const std::lock_guard guard(in_.mutex);
  in_.credit += bytes;
}

const ChunkView* LoopbackChannel::chunk(std::size_t ahead, transport::By reader,
                                        std::uint64_t exchange) noexcept {
  const std::lock_guard guard(in_.mutex);
  if (in_.chunks.size() <= ahead) return nullptr;
  Wire::Message& next = in_.chunks[ahead];
  const bool meant = exchange == 0 || exchange == next.chunk.exchange;
  if (meant && reader.host && next.on_gpu != nullptr) {  // the GPU's memory is used for something else
    next.on_gpu.reset();
    std::vector<std::byte> copy = next.payload;
    std::fill(next.payload.begin(), next.payload.end(), std::byte{0xdd});
    next.payload.swap(copy);
    network_.keep(std::move(copy));
  }
  if (meant && network_.options().gpus != nullptr && !reader.host && next.on_gpu == nullptr &&
      next.chunk.payload == transport::Payload::data)
    next.on_gpu =
        std::make_unique<Adopted>(*network_.options().gpus, static_cast<int>(reader.gpu) - 1, next.payload);
  chunk_ = {next.chunk, next.payload.data()};
  return &chunk_;
}

void LoopbackChannel::pop_chunk() noexcept {
  const std::lock_guard guard(in_.mutex);
  if (in_.chunks.empty()) return breach("pop_chunk without one");
  in_.chunks.pop_front();
  network_.give_slot(peer_);
  ++in_.chunks_popped;
}

void LoopbackChannel::leave_note(std::span<const std::byte> note) noexcept {
  if (!same_node() || note.size() > transport::kNoteBytes) breach("a note that cannot be left");
  const std::lock_guard guard(out_.mutex);
  if (!out_.note.empty()) breach("a second note");
  out_.note.assign(note.begin(), note.end());
}

std::span<const std::byte> LoopbackChannel::note() noexcept {
  const std::lock_guard guard(in_.mutex);
  return in_.note;
}

Status LoopbackChannel::check_peer() noexcept {
  if (network_.alive(peer_)) return {};
  return {Code::peer, text("rank ", peer_, " is gone")};
}

transport::Channel& LoopbackTransport::connect(int peer) {
  auto& channel = channels_[peer];
  if (channel == nullptr)
    channel = std::make_unique<LoopbackChannel>(network_, rank_, peer, network_.wire(rank_, peer),
                                                network_.wire(peer, rank_));
  return *channel;
}

Loopback::Loopback(int ranks, const LoopbackOptions& options)
    : ranks_(ranks),
      options_(options),
      alive_(static_cast<std::size_t>(ranks), true),
      slots_taken_(alive_.size(), 0) {
  for (int i = 0; i < ranks * ranks; ++i) wires_.push_back(std::make_unique<Wire>());
  for (int rank = 0; rank < ranks; ++rank)
    transports_.push_back(std::make_unique<LoopbackTransport>(*this, rank));
}

bool Loopback::take_slot(int rank) {
  const std::lock_guard guard(mutex_);
  std::size_t& taken = slots_taken_[static_cast<std::size_t>(rank)];
  if (options_.slots != 0 && taken == options_.slots) return false;
  ++taken;
  return true;
}

void Loopback::give_slot(int rank) {
  const std::lock_guard guard(mutex_);
  --slots_taken_[static_cast<std::size_t>(rank)];
}

void Loopback::kill(int rank) {
  const std::lock_guard guard(mutex_);
  alive_[static_cast<std::size_t>(rank)] = false;
}

bool Loopback::alive(int rank) {
  const std::lock_guard guard(mutex_);
  return alive_[static_cast<std::size_t>(rank)];
}

void Loopback::note_breach(const std::string& what) {
  const std::lock_guard guard(mutex_);
  breaches_.push_back(what);
}

void Loopback::keep(std::vector<std::byte> memory) {
  const std::lock_guard guard(mutex_);
  kept_.push_back(std::move(memory));
}

std::vector<std::string> Loopback::breaches() {
  const std::lock_guard guard(mutex_);
  return breaches_;
}

}  // namespace mpix::test
