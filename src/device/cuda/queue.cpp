// SPDX-License-Identifier: BSD-3-Clause
#include "device/cuda/queue.hpp"

#include <algorithm>
#include <cstring>
#include <thread>
#include <utility>

#include "base/log.hpp"
#include "device/cuda/mirror.hpp"

namespace mpix::device::cuda {

using kernels::device::Piece;

namespace {

constexpr std::size_t kArena = std::size_t{4} << 20;

constexpr std::size_t align_up(std::size_t bytes, std::size_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

}  // namespace

CopyQueue::CopyQueue(std::shared_ptr<Shared> shared, CudaContextPointer context)
    : shared_(std::move(shared)),
      context_(std::move(context)),
      launcher_(std::make_unique<Launcher>(context_, shared_->contexts.kernels(context_).copy)),
      arena_(std::make_unique<Arena>(context_, kArena)) {
  jobs_.reserve(Launcher::kMaxJobs);
  handed_.reserve(Launcher::kMaxJobs);
}

CopyQueue::~CopyQueue() {
  CopyQueue::wait();
  shared_->disposal->put(std::move(arena_));
  shared_->disposal->put(std::move(launcher_));
}

void CopyQueue::fail(Status status) noexcept {
  if (!error_.ok()) return;
  log::debug("GPU ", ordinal(), ": ", status.message());
  error_ = std::move(status);
  jobs_.clear();
  handed_.clear();
  bounces_.clear();
  flushing_ = false;
}

void CopyQueue::check(CUresult result, const char* what) noexcept {
  if (result != CUDA_SUCCESS) fail(cuda_status(context_->driver(), result, what));
}

bool CopyQueue::room() noexcept {
  if (!error_.ok()) return false;
  if (jobs_.size() >= Launcher::kMaxJobs) flush();
  return jobs_.size() < Launcher::kMaxJobs;
}

std::byte* CopyQueue::reach(const std::byte* data, std::size_t bytes) noexcept {
  if (std::byte* const place = shared_->pins.reach(context_, data, bytes)) return place;
  const Known known = shared_->memory.look(data);
  // Kernels write through the same pointer.
  return known.facts.kind != Kind::host && known.holds(data, bytes) ? const_cast<std::byte*>(data) : nullptr;
}

std::byte* CopyQueue::take(std::size_t bytes) noexcept {
  Status status;
  if (!context_->alive()) fail({Code::internal, "the CUDA context of a buffer is gone"});  // and the arena
  if (!error_.ok()) return nullptr;
  std::byte* const memory = arena_->take(bytes, next(), status);
  if (!status.ok()) fail(std::move(status));
  if (memory == nullptr) flush();  // room comes when launches are done
  return memory;
}

std::optional<Ticket> CopyQueue::gather(const Side& from, std::byte* out, std::size_t bytes) noexcept {
  if (bytes == 0) return done_;
  if (!room()) return {};
  std::byte* place = reach(out, bytes);
  if (place == nullptr) {
    place = take(bytes);
    if (place == nullptr) return {};
    bounces_.push_back({next(), place, out, bytes});
    traffic_.bounced += static_cast<std::int64_t>(bytes);
  }
  const auto length = static_cast<std::int64_t>(bytes);
  jobs_.push_back(make_job(end_of(place, length), end_of(from), length));
  return next();
}

std::optional<Ticket> CopyQueue::scatter(const Side& to, const std::byte* in, std::size_t bytes) noexcept {
  if (bytes == 0) return done_;
  if (!room()) return {};
  const std::byte* place = reach(in, bytes);
  if (place == nullptr) {
    std::byte* const copied = take(bytes);
    if (copied == nullptr) return {};
    std::memcpy(copied, in, bytes);
    traffic_.bounced += static_cast<std::int64_t>(bytes);
    place = copied;
  }
  const auto length = static_cast<std::int64_t>(bytes);
  jobs_.push_back(make_job(end_of(to), end_of(place, length), length));
  return next();
}

std::optional<Ticket> CopyQueue::scatter_entries(const Side& to, const std::byte* in,
                                                 std::span<const Entry> entries) noexcept {
  const PieceList list = make_pieces(entries, nullptr);
  if (list.bytes == 0) return done_;
  if (!room()) return {};
  const auto used = static_cast<std::size_t>(list.high - list.low);
  const std::byte* place = reach(in + list.low, used);
  // One piece of the arena for both: a second one that is refused would leave the first one without a launch.
  const std::size_t head =
      align_up(static_cast<std::size_t>(list.npieces) * sizeof(Piece), Arena::kAlignment);
  std::byte* const taken = take(head + (place == nullptr ? used : 0));
  if (taken == nullptr) return {};
  make_pieces(entries, reinterpret_cast<Piece*>(taken));
  // Every thread searches them: not across the bus.
  const CUdeviceptr pieces = arena_->twin(taken);
  handed_.push_back({pieces, taken, static_cast<std::size_t>(list.npieces) * sizeof(Piece)});
  if (place == nullptr) {
    std::memcpy(taken + head, in + list.low, used);
    traffic_.bounced += static_cast<std::int64_t>(used);
    place = taken + head;
  }
  jobs_.push_back(make_job(end_of(to), end_of(place, list.high - list.low), list,
                           reinterpret_cast<const Piece*>(pieces)));
  return next();
}

std::optional<Ticket> CopyQueue::copy(const Side& to, const Side& from, std::int64_t bytes) noexcept {
  if (bytes == 0) return done_;
  if (!room()) return {};
  jobs_.push_back(make_job(end_of(to), end_of(from), bytes));
  return next();
}

void CopyQueue::flush() noexcept {
  flushing_ = !jobs_.empty() && !launcher_->room(jobs_.size());
  if (jobs_.empty() || flushing_) return;
  check(launcher_->launch(jobs_, handed_), "cuLaunchKernel");
  ++traffic_.launches;
  jobs_.clear();
  handed_.clear();
}

void CopyQueue::retire() noexcept {
  const Ticket done = launcher_->done();
  for (; !bounces_.empty() && bounces_.front().ticket <= done; bounces_.pop_front()) {
    const Bounce& bounce = bounces_.front();
    std::memcpy(bounce.to, bounce.from, bounce.bytes);
  }
  while (!uploads_.empty() && uploads_.front().ticket <= done) uploads_.pop_front();
  arena_->release(done);
  done_ = done;
}

bool CopyQueue::progress() noexcept {
  if (!error_.ok()) return false;
  const Ticket before = done_;
  check(launcher_->poll(), "copies on a GPU");
  if (!error_.ok()) return true;
  if (launcher_->done() != done_) retire();
  if (flushing_) flush();
  return done_ != before;
}

void CopyQueue::wait() noexcept {
  // Launches before the one that failed may still be reading and writing.
  if (!error_.ok() && context_->alive())
    cuda_log(context_->driver(), launcher_->synchronize(), "waiting for copies on a GPU");
  while (error_.ok() && (!jobs_.empty() || done_ < launcher_->launched())) {
    flush();
    check(launcher_->synchronize(), "copies on a GPU");
    progress();
  }
}

void CopyQueue::upload(const std::shared_ptr<const ListMemory::Piece>& to, HostLists lists) {
  // Jobs that were collected have the number that the upload would take.
  for (flush(); error_.ok() && (collected() || !launcher_->room(1)); flush()) {
    if (!progress()) std::this_thread::yield();
  }
  if (error_.ok()) {
    uploads_.push_back({next(), std::move(lists.memory), to});
    check(launcher_->upload(reinterpret_cast<CUdeviceptr>(to->data()), uploads_.back().from, lists.copies),
          "copying lists");
  }
  if (!error_.ok()) throw Error(error_);
}

std::shared_ptr<const Mirror> CopyQueue::mirror(std::span<const kernels::Blocks* const> blocks) {
  HostLists lists = make_lists(blocks, number());
  const std::size_t bytes = lists.bytes;
  std::shared_ptr<const ListMemory::Piece> memory;
  if (bytes > 0) memory = shared_->list_memory.take(context_, bytes);
  const auto mirror =
      std::make_shared<ListMirror>(shared_, ordinal(), std::move(lists.places), memory, bytes);
  if (bytes > 0) {
    upload(memory, std::move(lists));
    mirror->set_ticket(launcher_->launched());
  }
  return mirror;
}

}  // namespace mpix::device::cuda
