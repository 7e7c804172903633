// SPDX-License-Identifier: BSD-3-Clause
// The part of a pair's exchange that a GPU does: copies are handed to a queue, and rooms and chunks to the
// channel once their copies are done.
#include "engine/gpu_pair.hpp"

#include <algorithm>
#include <cstring>

#include "base/log.hpp"
#include "base/text.hpp"
#include "engine/pair.hpp"

namespace mpix::engine {
namespace {

using transport::Chunk;
using transport::ChunkView;
using transport::Payload;

/// Rooms that a pair fills and chunks that it empties at a time.
constexpr std::size_t kFilling = 4;
constexpr std::size_t kReading = 4;

/// Whether what comes now is done after all that was collected.
bool start_collected(device::Queue& queue) noexcept {
  if (queue.collected()) queue.flush();
  return !queue.collected();
}

}  // namespace

bool FillingRooms::commit(transport::Channel& channel, const device::Queue& queue, Status& status) noexcept {
  bool happened = false;
  while (!rooms_.empty() && status.ok() && queue.done(rooms_.front().ticket)) {
    const Room room = rooms_.front();
    rooms_.erase(rooms_.begin());
    status = channel.chunk_commit(room.room, room.chunk);
    happened = true;
  }
  return happened;
}

std::int64_t FillingRooms::bytes() const noexcept {
  std::int64_t bytes = 0;
  for (const Room& room : rooms_) bytes += room.chunk.bytes;
  return bytes;
}

void FillingRooms::cancel(transport::Channel& channel) noexcept {
  for (const Room& room : rooms_) channel.chunk_cancel(room.room);
  rooms_.clear();
}

/// The state, made when a GPU has its first part in this pair. Null, and the exchange failed, without memory.
GpuPair* PairExchange::gpu(Run& run) noexcept {
  if (gpu_ != nullptr) return gpu_.get();
  try {
    gpu_ = std::make_unique<GpuPair>();
  } catch (const std::exception&) {
    give_up(run);
  }
  return gpu_.get();
}

/// Lets the peer find out whether it can import this rank's memory.
void PairExchange::leave_note(const Run& run) noexcept {
  if (!run.send_gpu || pair_->send == nullptr || link_->noted || !channel().same_node()) return;
  link_->noted = true;
  const std::optional<device::IpcPlace> probe = run.context->gpus->probe(run.send_gpu.facts.ordinal);
  static_assert(sizeof(device::IpcPlace) <= transport::kNoteBytes);
  if (probe) channel().leave_note(std::as_bytes(std::span(&*probe, 1)));
}

/// Whether this rank's GPU can import the peer's memory, by the peer's note. Without a note: not yet.
bool PairExchange::can_import(const Run& run) noexcept {
  if (!run.config->cuda_ipc || run.recv_gpu.facts.kind != device::Kind::device || !channel().same_node())
    return false;
  const std::uint64_t number = run.recv_gpu.queue->number();
  if (const auto known = link_->imports.find(number); known != link_->imports.end()) return known->second;
  const std::span<const std::byte> note = channel().note();
  device::IpcPlace place;
  if (note.size() != sizeof place) return false;
  std::memcpy(&place, note.data(), sizeof place);
  try {
    bool& works = link_->imports[number];
    run.context->gpus->import(number, place);
    return works = true;
  } catch (const std::exception& error) {
    log::info("GPU memory of rank ", peer(), " comes through staging memory: ", error.what());
    return false;
  }
}

/// The send buffer and the lists of its blocks for the peer; none where it cannot import them.
std::optional<ImportDescriptor> PairExchange::export_descriptor(const Run& run) const noexcept {
  const plan::Plan& plan = *run.plan;
  ImportDescriptor descriptor;
  descriptor.place.reach = Reach::imported;
  descriptor.blocks = (*run.send_gpu.mirror)[index_];
  std::optional<device::IpcPlace> buffer =
      run.context->gpus->export_place(run.send_base + plan.send_lb, run.send_gpu.facts);
  // All of the layout has to lie in one allocation.
  if (!buffer || buffer->offset + (plan.send_ub - plan.send_lb) > static_cast<std::int64_t>(buffer->bytes))
    return {};
  buffer->offset -= plan.send_lb;
  descriptor.buffer = *buffer;
  if (!run.send_gpu.mirror->has_lists()) return descriptor;
  const std::optional<device::IpcPlace> lists = run.send_gpu.mirror->place();
  if (!lists) return {};
  descriptor.lists = *lists;
  descriptor.has_lists = 1;
  return descriptor;
}

/// What the peer imports has to stay as it is until the peer says that it has read it.
void PairExchange::choose_export(Run& run) noexcept {
  const std::optional<ImportDescriptor> descriptor = export_descriptor(run);
  if (!descriptor) return;
  if (GpuPair* const state = gpu(run); state != nullptr) state->exports = descriptor;
}

/// Commits rooms that are full and pops chunks that have been read.
bool PairExchange::settle_gpu(Run& run) noexcept {
  bool happened = false;
  Status status;
  if (gpu_->filling.size() > 0) happened = gpu_->filling.commit(channel(), *run.send_gpu.queue, status);
  if (!status.ok()) {
    run.fail(status);
    abandon(run);
    return true;
  }
  if (gpu_->inlined_waits) happened |= scatter_inlined(run);
  while (!gpu_->reading.empty() && run.recv_gpu.queue->done(gpu_->reading.front().ticket)) {
    if (gpu_->reading.front().chunk) {
      channel().pop_chunk();
      --gpu_->chunks_reading;
    }
    gpu_->reading.pop_front();
    happened = true;
  }
  return happened;
}

/// All at once: one descriptor, however many blocks there are.
Status PairExchange::push_import(Run& run, std::span<std::byte> room) noexcept {
  const ImportDescriptor& descriptor = *gpu_->exports;
  if (room.size() < sizeof descriptor) {
    channel().chunk_cancel(room.data());
    return {Code::internal, text("rank ", peer(), " has no room for descriptors")};
  }
  std::memcpy(room.data(), &descriptor, sizeof descriptor);
  const Chunk chunk{run.exchange, 0, send_total(), Payload::descriptor,
                    static_cast<std::uint32_t>(sizeof descriptor)};
  sent_ = send_total();
  run.traffic.imported += sent_;
  ++run.traffic.chunks;
  const Status status = channel().chunk_commit(room.data(), chunk);
  drain_target_ = channel().chunks_sent();
  return status;
}

bool PairExchange::push_gpu(Run& run) noexcept {
  GpuPair* const state = gpu(run);
  if (state == nullptr) return true;
  bool happened = false;
  // In place, the host copies what was saved.
  const transport::By writer = run.plan->in_place ? run.send_gpu.with_host() : run.send_gpu.alone();
  while (!done_ && sent_ < send_total() && state->filling.size() < kFilling && !leads_in_place(run)) {
    const auto left = static_cast<std::size_t>(send_total() - sent_);
    const std::span<std::byte> room = channel().chunk_begin(std::min(chunk_bytes_, left), writer);
    if (room.empty()) break;
    if (!fill_room(run, room.first(std::min(room.size(), left)))) {
      channel().chunk_cancel(room.data());
      break;
    }
    happened = true;
  }
  return happened;
}

/// Starts to fill a room with the next bytes, saved ones first. False: not now.
bool PairExchange::fill_room(Run& run, std::span<std::byte> room) noexcept {
  device::Queue& queue = *run.send_gpu.queue;
  auto bytes = static_cast<std::int64_t>(room.size());
  std::optional<device::Ticket> ticket;
  if (!gpu_->saved.empty()) {
    GpuPair::Saved& saved = gpu_->saved.front();
    if (!queue.done(saved.ticket)) return false;
    bytes = std::min(bytes, saved.size - saved.sent);
    std::memcpy(room.data(), saved.bytes.get() + saved.sent, static_cast<std::size_t>(bytes));
    saved.sent += bytes;
    gpu_->saved_bytes -= bytes;
    if (saved.sent == saved.size) gpu_->saved.pop_front();
    ticket = 0;
  } else {
    ticket = queue.gather(run.send_gpu.at(run.send_base, index_, sent_), room.data(), room.size());
  }
  if (!ticket) return false;
  gpu_->filling.add(room.data(),
                    {run.exchange, sent_, bytes, Payload::data, static_cast<std::uint32_t>(bytes)}, *ticket);
  sent_ += bytes;
  (channel().same_node() ? run.traffic.ring : run.traffic.net) += bytes;
  ++run.traffic.chunks;
  return true;
}

/// In place: as save_ahead. False: not now.
bool PairExchange::save_ahead_gpu(Run& run, std::int64_t bytes) noexcept {
  GpuPair& state = *gpu_;
  const std::int64_t size = std::min(bytes, send_total() - sent_ - state.saved_bytes);
  try {
    GpuPair::Saved saved{std::make_unique<std::byte[]>(static_cast<std::size_t>(size)), size, 0, 0};
    const std::optional<device::Ticket> ticket =
        run.send_gpu.queue->gather(run.send_gpu.at(run.send_base, index_, sent_ + state.saved_bytes),
                                   saved.bytes.get(), static_cast<std::size_t>(size));
    if (!ticket) return false;
    saved.ticket = *ticket;
    state.saved.push_back(std::move(saved));
    state.saved_bytes += size;
    return true;
  } catch (const std::exception& error) {
    run.fail(
        {Code::no_memory, text("no ", size, " bytes to save data that is sent in place: ", error.what())});
    abandon(run);
    return false;
  }
}

/// Starts to read chunks behind those that are being read.
bool PairExchange::pull_data_gpu(Run& run, const ChunkView& view) noexcept {
  GpuPair* const state = gpu(run);
  if (state == nullptr) return true;
  if (state->chunks_reading == kReading) return false;
  device::Queue& queue = *run.recv_gpu.queue;
  std::int64_t bytes = view.header.bytes - chunk_done_;
  if (run.plan->in_place && sending_) {
    if (sent_ + saved() == received_ && !save_ahead_gpu(run, bytes)) return done_;
    bytes = std::min(bytes, sent_ + saved() - received_);  // not over what is yet to be sent
    if (!start_collected(queue)) return false;             // what is being sent is read before
  }
  const std::optional<device::Ticket> ticket =
      queue.scatter(run.recv_gpu.at(run.recv_base, index_, received_), view.payload + chunk_done_,
                    static_cast<std::size_t>(bytes));
  if (!ticket) return false;
  received_ += bytes;
  chunk_done_ += bytes;
  const bool whole = chunk_done_ == view.header.bytes;
  if (whole) {
    state->reading.push_back({*ticket, true});
    ++state->chunks_reading;
    chunk_done_ = 0;
  }
  return true;
}

/// Fails the exchange, but lets the peer go, which sends by chunks from now on.
bool PairExchange::refuse_import(Run& run, std::int64_t bytes, const char* why) noexcept {
  run.fail({Code::peer,
            text("GPU memory of rank ", peer(), " cannot be read: ", why, " (MPIX_LAYOUT_CUDA_IPC=off)")});
  if (const auto known = link_->imports.find(run.recv_gpu.queue->number()); known != link_->imports.end())
    known->second = false;
  received_ += bytes;
  gpu_->reading.push_back({0, true});
  ++gpu_->chunks_reading;
  return true;
}

/// One copy from the peer's buffer, of all that it sends.
bool PairExchange::pull_imported(Run& run, const ChunkView& view) noexcept {
  GpuPair* const state = gpu(run);
  if (state == nullptr) return true;
  ImportDescriptor from;
  std::memcpy(&from, view.payload, sizeof from);
  try {
    const std::uint64_t number = run.recv_gpu.queue->number();
    if (state->buffer == nullptr) state->buffer = run.context->gpus->import(number, from.buffer);
    if (state->lists == nullptr && from.has_lists != 0)
      state->lists = run.context->gpus->import(number, from.lists);
  } catch (const std::exception& error) {
    return refuse_import(run, view.header.bytes, error.what());
  }
  const device::Side source{state->buffer->data(), &from.blocks, nullptr,
                            state->lists != nullptr ? state->lists->data() : nullptr, 0};
  const std::optional<device::Ticket> ticket =
      run.recv_gpu.queue->copy(run.recv_gpu.at(run.recv_base, index_, received_), source, view.header.bytes);
  if (!ticket) return false;
  received_ += view.header.bytes;
  state->reading.push_back({*ticket, true});
  ++state->chunks_reading;
  return true;
}

/// Keeps an announcement's payload until it has been taken.
void PairExchange::accept_inlined_gpu(Run& run, const transport::AnnouncementView& view) noexcept {
  GpuPair* const state = gpu(run);
  if (state == nullptr) return;
  try {
    state->inlined.assign(view.payload, view.payload + view.header.inline_bytes);
    state->inlined_waits = true;
  } catch (const std::exception&) {
    give_up(run);
  }
}

bool PairExchange::scatter_inlined(Run& run) noexcept {
  if (run.plan->in_place && sending_) {  // not over what is yet to be sent
    const std::int64_t unsaved = send_total() - sent_ - saved();
    if (unsaved > 0 && !save_ahead_gpu(run, unsaved)) return done_;
    if (!start_collected(*run.recv_gpu.queue)) return false;
  }
  const std::optional<device::Ticket> ticket = run.recv_gpu.queue->scatter(
      run.recv_gpu.at(run.recv_base, index_, 0), gpu_->inlined.data(), gpu_->inlined.size());
  if (!ticket) return false;
  gpu_->inlined_waits = false;
  received_ = static_cast<std::int64_t>(gpu_->inlined.size());
  gpu_->reading.push_back({*ticket, false});
  return true;
}

/// Whether the GPU has taken a part of a packet that was given to it. Meanwhile the ranks may have met and
/// disagreed.
bool PairExchange::taken_by_gpu(Run& run, const std::byte* data) noexcept {
  const auto known = std::find_if(gpu_->taking.begin(), gpu_->taking.end(),
                                  [&](const GpuPair::Taking& taking) { return taking.data == data; });
  if (!run.recv_gpu.queue->done(known->ticket)) return false;
  if (receiving_) {
    received_ += known->bytes;
    stray_ += known->stray;
  } else {
    unwanted_ -= known->bytes + known->stray;
  }
  gpu_->taking.erase(known);
  if (met_) refuses_strays(run);
  return true;
}

/// Part of a packet: false until it has been taken, and to be offered again until then.
bool PairExchange::take_gpu(Run& run, std::span<const PacketEntry> entries, const std::byte* data) noexcept {
  GpuPair* const state = gpu(run);
  if (state == nullptr) return true;
  std::int64_t bytes = 0, stray = 0;
  try {
    state->entries.clear();
    for (const PacketEntry& entry : entries) {
      if (!expects(entry)) {
        stray += entry.bytes;
        continue;
      }
      state->entries.push_back({entry.data, entry.bytes, entry.offset});
      bytes += entry.bytes;
    }
    state->taking.reserve(state->taking.size() + 1);
  } catch (const std::exception&) {
    give_up(run);
    return true;
  }
  if (state->entries.empty()) {
    stray_ += stray;
    return true;
  }
  const std::optional<device::Ticket> ticket =
      run.recv_gpu.queue->scatter_entries(run.recv_gpu.at(run.recv_base, index_, 0), data, state->entries);
  if (!ticket) return false;
  state->taking.push_back({data, *ticket, bytes, stray});
  return false;
}

/// Waits for what GPUs still do for this pair, because the memory that they use goes back.
void PairExchange::abandon_gpu(const Run& run) noexcept {
  if (gpu_ == nullptr) return;
  if (!gpu_->idle() || !gpu_->saved.empty() || chunk_done_ > 0)
    for (const GpuSide* const side : {&run.send_gpu, &run.recv_gpu})
      if (*side) side->queue->wait();
  gpu_->filling.cancel(channel());
  gpu_.reset();
}

}  // namespace mpix::engine
