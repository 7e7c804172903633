// SPDX-License-Identifier: BSD-3-Clause
#include "transport/ucx/channel.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "base/text.hpp"
#include "transport/ucx/transport.hpp"

namespace mpix::transport::ucx {
namespace {

/// Unread announcements after which the peer is told by a message of its own that they were popped.
constexpr std::uint64_t kUntoldAnnouncements = kUnreadAnnouncements / 2;
/// Bytes that a socket has room for in any case: half of the least that Linux gives it by default.
constexpr std::uint64_t kAlwaysWritten = 8 << 10;
/// Of progress before a connection that is to tell whether a peer lives.
constexpr int kRoundsToSeeEnds = 64;

const std::byte* bytes_of(const void* data) {
  return static_cast<const std::byte*>(data);
}

}  // namespace

UcxChannel::UcxChannel(UcxTransport& transport, UcxWorker& worker, int peer) noexcept
    : transport_(transport), worker_(worker), peer_(peer) {
  demand_.owner = this;
}

// Sending

Prefix UcxChannel::prefix(std::uint64_t sequence) noexcept {
  told_ = {announcements_read_, demand_.granted, demand_.popped, demand_.chunk_bytes, demand_.standing};
  ReceiveBudget::told(demand_);
  return {transport_.communicator(), static_cast<std::uint64_t>(transport_.rank()), sequence, told_};
}

Status UcxChannel::prepare_endpoint(const Lock& lock) noexcept {
  if (endpoint_ != nullptr) return peer_status();
  try {
    endpoint_ = &transport_.endpoint(lock, peer_);
    return peer_status();
  } catch (const Error& error) {
    const topology::Devices& devices = worker_.devices();
    std::string tried;
    if (!devices.own.empty()) tried = text(" from ", devices.own);
    if (!devices.others.empty()) tried += text(", nor from ", devices.others);
    if (!tried.empty()) tried += " (MPIX_LAYOUT_NET_DEVICES)";
    return {Code::peer, text("rank ", peer_, " cannot be reached", tried, ": ", error.what())};
  } catch (const std::exception& error) {
    return {Code::no_memory, error.what()};
  }
}

/// Sends `slot`, which is given up in any case.
Status UcxChannel::post(const Lock& lock, MessageId id, Slot*& slot, std::size_t bytes) noexcept {
  Slot& taken = *std::exchange(slot, nullptr);
  Status status = prepare_endpoint(lock);
  if (!status.ok()) {
    taken.pool->give(taken);
    return status;
  }
  if (taken.awaited) {
    ++in_flight_;
    endpoint_->unproven = id != kCredit && !worker_.sent_is_written(taken, bytes);
  }
  status = worker_.send(lock, *endpoint_, id, taken, bytes);
  if (status.ok()) return {};
  return {Code::peer, text("nothing can be sent to rank ", peer_, ": ", status.message())};
}

std::byte* UcxChannel::announce_begin() noexcept {
  const Lock lock = worker_.lock();
  if (open_announcement_ == nullptr) {
    if (announcements_sent_ - credits_.announcements_popped >= kUnreadAnnouncements) return nullptr;
    open_announcement_ = worker_.announcements().take(*this);
  }
  return open_announcement_ == nullptr ? nullptr : open_announcement_->room.data();
}

Status UcxChannel::announce_commit(const Announcement& announcement) noexcept {
  const Lock lock = worker_.lock();
  open_announcement_->set_header(AnnouncementMessage{prefix(announcements_sent_), announcement});
  count_announcement(sizeof(AnnouncementMessage) + announcement.inline_bytes);
  return post(lock, kAnnouncement, open_announcement_, announcement.inline_bytes);
}

std::span<std::byte> UcxChannel::chunk_begin(std::size_t want, By writer) noexcept {
  const Lock lock = worker_.lock();
  const std::uint64_t used = chunks_sent_ + opened_;
  if (opened_ == kWindow || used >= credits_.chunks_granted) return {};
  Slot* const slot = worker_.take_chunk(lock, *this, writer);
  if (slot == nullptr) return {};
  open_chunks_[opened_++] = slot;
  std::size_t limit = std::min(slot->room.size(), static_cast<std::size_t>(credits_.chunk_bytes));
  slot->unasked = credits_.chunks_granted - used <= credits_.standing;
  if (slot->unasked) limit = std::min(limit, worker_.budget().short_bytes());
  return slot->room.first(std::min(want, limit));
}

/// Takes a room from the open ones.
Slot* UcxChannel::close_chunk(const std::byte* room) noexcept {
  std::size_t at = opened_ - 1;
  while (at > 0 && open_chunks_[at]->room.data() != room) --at;
  --opened_;
  return std::exchange(open_chunks_[at], open_chunks_[opened_]);
}

Status UcxChannel::chunk_commit(const std::byte* room, const Chunk& chunk) noexcept {
  const Lock lock = worker_.lock();
  Slot* slot = close_chunk(room);
  slot->set_header(ChunkMessage{prefix(chunks_sent_), chunk});
  count_chunk(sizeof(ChunkMessage) + chunk.payload_bytes);
  return post(lock, kChunk, slot, chunk.payload_bytes);
}

Status UcxChannel::commit_both(const Announcement& announcement, const std::byte* room,
                               const Chunk& chunk) noexcept {
  const Lock lock = worker_.lock();
  Slot* slot = close_chunk(room);
  slot->set_header(AnnouncedChunkMessage{prefix(chunks_sent_), announcements_sent_, announcement, chunk});
  count_announcement(sizeof(AnnouncementMessage));
  count_chunk(sizeof(ChunkMessage) + chunk.payload_bytes);
  open_announcement_->pool->give(*std::exchange(open_announcement_, nullptr));
  return post(lock, kAnnouncedChunk, slot, chunk.payload_bytes);
}

void UcxChannel::chunk_cancel(const std::byte* room) noexcept {
  const Lock lock = worker_.lock();
  Slot* const slot = close_chunk(room);
  slot->pool->give(*slot);
}

std::uint64_t UcxChannel::chunks_drained() noexcept {
  const Lock lock = worker_.lock();
  return credits_.chunks_popped;
}

bool UcxChannel::flushed() noexcept {
  return flushed(worker_.lock());
}

bool UcxChannel::flushed(const Lock& lock) noexcept {
  if (in_flight_ != 0) return false;
  if (endpoint_ == nullptr || !worker_.writes_later() || !peer_status().ok()) return true;
  if (!endpoint_->unproven || endpoint_->unread <= kAlwaysWritten) return endpoint_->in_flight == 0;
  // UCX over TCP calls a message sent that the socket has no room for yet, but takes the next one only once
  // all of it is written. Flushing would not do: it waits for the peer's progress.
  return post_credits(lock, true) && endpoint_->in_flight == 0;
}

/// False while there is no slot for the message.
bool UcxChannel::post_credits(const Lock& lock, bool awaited) noexcept {
  Slot* slot = worker_.credits().take(*this);
  if (slot == nullptr) return false;
  slot->awaited = awaited;
  slot->set_header(CreditMessage{prefix(0)});
  const Status status = post(lock, kCredit, slot, 0);
  if (!status.ok()) log::debug(status.message());  // check_peer() tells the engine
  return true;
}

bool UcxChannel::send_credits(const Lock& lock) noexcept {
  const bool known =
      told_.announcements_popped == announcements_read_ && told_.chunks_granted == demand_.granted;
  // Nobody waits for it to leave: if it is the first message of a connection, it may need a peer that makes
  // progress, and who has what it was waiting for does not.
  if (!known && peer_status().ok() && !post_credits(lock, false)) return false;
  telling_ = false;
  return true;
}

void UcxChannel::credits_due(const Lock& lock) noexcept {
  if (std::exchange(telling_, true)) return;
  worker_.tell_credits(lock, *this);
}

void UcxChannel::count_announcement(std::size_t bytes) noexcept {
  count_sent(unread_announcements_[announcements_sent_++ % kUnreadAnnouncements], bytes);
}

void UcxChannel::count_chunk(std::size_t bytes) noexcept {
  count_sent(unread_chunks_[chunks_sent_++ % kWindow], bytes);
}

void UcxChannel::count_sent(std::uint32_t& unread, std::size_t bytes) noexcept {
  unread = static_cast<std::uint32_t>(bytes);
  if (endpoint_ != nullptr) endpoint_->unread += unread;
}

void UcxChannel::count_read(std::uint32_t& unread) noexcept {
  if (endpoint_ != nullptr) endpoint_->unread -= std::min<std::uint64_t>(unread, endpoint_->unread);
  unread = 0;
}

void UcxChannel::take_credits(const Credits& credits) noexcept {
  for (std::uint64_t i = credits_.announcements_popped;
       i < std::min(credits.announcements_popped, announcements_sent_); ++i)
    count_read(unread_announcements_[i % kUnreadAnnouncements]);
  for (std::uint64_t i = credits_.chunks_popped; i < std::min(credits.chunks_popped, chunks_sent_); ++i)
    count_read(unread_chunks_[i % kWindow]);
  credits_.announcements_popped = std::max(credits_.announcements_popped, credits.announcements_popped);
  if (credits.chunks_granted >= credits_.chunks_granted) {
    credits_.chunk_bytes = credits.chunk_bytes;
    credits_.standing = credits.standing;
  }
  credits_.chunks_granted = std::max(credits_.chunks_granted, credits.chunks_granted);
  credits_.chunks_popped = std::max(credits_.chunks_popped, credits.chunks_popped);
}

// Receiving

bool UcxChannel::take_announcement(const AnnouncementMessage& message, void* data) noexcept {
  take_credits(message.prefix.credits);
  ArrivedAnnouncement& arrived = arrived_announcement(message.prefix.sequence);
  if (message.prefix.sequence - announcements_read_ >= kUnreadAnnouncements || arrived.there) {
    broken_ = "announced more than it was allowed to";
    return false;
  }
  arrived = {true, {message.announcement, bytes_of(data)}, data};
  transport_.count_arrival();
  return true;
}

const AnnouncementView* UcxChannel::announcement() noexcept {
  const Lock lock = worker_.lock();
  const ArrivedAnnouncement& next = arrived_announcement(announcements_read_);
  return next.there ? &next.view : nullptr;
}

void UcxChannel::pop_announcement() noexcept {
  const Lock lock = worker_.lock();
  ArrivedAnnouncement& next = arrived_announcement(announcements_read_);
  if (next.data != nullptr) worker_.release(lock, next.data);
  next = {};
  ++announcements_read_;
  if (announcements_read_ - told_.announcements_popped >= kUntoldAnnouncements) credits_due(lock);
}

void UcxChannel::expect(std::int64_t bytes, By reader) noexcept {
  const Lock lock = worker_.lock();
  if (bytes > 0) reader_ = reader;
  if (!withdrawn_) worker_.budget().expect(demand_, bytes);
}

bool UcxChannel::open_chunk(const ChunkMessage& message) noexcept {
  take_credits(message.prefix.credits);
  if (withdrawn_) return false;
  const std::uint64_t sequence = message.prefix.sequence;
  ArrivedChunk& arrived = arrived_chunk(sequence);
  if (sequence < demand_.popped || sequence >= demand_.granted ||
      arrived.state != ArrivedChunk::State::absent) {
    broken_ = "sent more than it was allowed to";
    return false;
  }
  arrived.state = ArrivedChunk::State::coming;
  arrived.view.header = message.chunk;
  worker_.budget().arrived(demand_, message.chunk.bytes);
  return true;
}

void UcxChannel::put_chunk(std::uint64_t sequence, void* data, Slot* slot) noexcept {
  ArrivedChunk& arrived = arrived_chunk(sequence);
  arrived.state = ArrivedChunk::State::there;
  arrived.data = data;
  arrived.slot = slot;
  arrived.view.payload = slot != nullptr ? slot->room.data() : bytes_of(data);
  transport_.count_arrival();
}

void UcxChannel::lose_chunk() noexcept {
  broken_ = "sent a chunk that could not be received";
}

const ChunkView* UcxChannel::chunk(std::size_t ahead, By reader, std::uint64_t exchange) noexcept {
  const Lock lock = worker_.lock();
  if (ahead >= kWindow) return nullptr;
  ArrivedChunk& next = arrived_chunk(chunks_read_ + ahead);
  if (next.state != ArrivedChunk::State::there) return nullptr;
  const bool elsewhere =
      next.slot != nullptr && next.slot->gpu != By::kNone && (reader.host || reader.gpu != next.slot->gpu);
  const bool meant = exchange == 0 || exchange == next.view.header.exchange;
  if (elsewhere && meant && !next.view.lost) {  // it came before anybody knew who would read it
    next.view.lost = !worker_.bring_to_host(lock, *this, next.slot, next.view.header.payload_bytes);
    if (!next.view.lost) next.view.payload = next.slot->room.data();
  }
  return &next.view;
}

void UcxChannel::pop_chunk() noexcept {
  const Lock lock = worker_.lock();
  drop(lock, arrived_chunk(chunks_read_++));
  if (!withdrawn_) worker_.budget().popped(demand_);
}

void UcxChannel::drop(const Lock& lock, ArrivedChunk& arrived) noexcept {
  if (arrived.data != nullptr) worker_.release(lock, arrived.data);
  if (arrived.slot != nullptr) arrived.slot->pool->give(*arrived.slot);
  arrived = {};
}

// Failure and end

Status UcxChannel::peer_status() const noexcept {
  if (endpoint_ != nullptr && endpoint_->error != UCS_OK)
    return {Code::peer,
            text("the connection to rank ", peer_, " is lost: ", ucs_status_string(endpoint_->error))};
  if (broken_ != nullptr) return {Code::peer, text("rank ", peer_, " ", broken_)};
  return {};
}

Status UcxChannel::check_peer() noexcept {
  const Lock lock = worker_.lock();
  // UCX 1.13.1 aborts (tcp_ep.c, uct_tcp_ep_destroy_progress) where it is to connect to a peer that has
  // connected to this rank and then died, unless it has seen the end of that connection.
  for (int round = 0; endpoint_ == nullptr && round < kRoundsToSeeEnds && worker_.progress(lock); ++round) {
  }
  Status status = prepare_endpoint(lock);  // without a connection, nothing would be noticed
  if (!status.ok() && !std::exchange(withdrawn_, true)) worker_.budget().withdraw(demand_);
  return status;
}

void UcxChannel::close(const Lock& lock) noexcept {
  if (!std::exchange(withdrawn_, true)) worker_.budget().withdraw(demand_);
  for (ArrivedAnnouncement& arrived : announcements_)
    if (arrived.data != nullptr) worker_.release(lock, arrived.data);
  for (ArrivedChunk& arrived : chunks_) drop(lock, arrived);
  for (std::uint32_t& unread : unread_announcements_) count_read(unread);
  for (std::uint32_t& unread : unread_chunks_) count_read(unread);
  for (; opened_ > 0; --opened_) open_chunks_[opened_ - 1]->pool->give(*open_chunks_[opened_ - 1]);
  if (open_announcement_ != nullptr) open_announcement_->pool->give(*open_announcement_);
}

}  // namespace mpix::transport::ucx
