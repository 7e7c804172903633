// SPDX-License-Identifier: BSD-3-Clause
#include "engine/self_copy.hpp"

#include <algorithm>

namespace mpix::engine {
namespace {

/// Bytes that a rank copies before it looks at its peers again.
constexpr std::int64_t kSlice = 256 << 10;
/// Slices on their way between memory of which no single kernel reaches both sides.
constexpr std::size_t kPieces = 3;

std::size_t self_index(const Run& run) noexcept {
  return run.plan->pairs.size();
}

/// The queue whose kernels reach both buffers; null for none.
device::Queue* common_queue(const Run& run) noexcept {
  const GpuSide &send = run.send_gpu, &recv = run.recv_gpu;
  return send && recv && send.queue == recv.queue ? recv.queue : nullptr;
}

}  // namespace

void SelfCopy::start(std::int64_t bytes) noexcept {
  left_ = bytes;
  send_ = recv_ = {};
  ticket_ = 0;
  pieces_.clear();
}

bool SelfCopy::step(Run& run, bool idle) noexcept {
  if (common_queue(run) != nullptr) return copy_by_gpu(run);
  if (run.send_gpu || run.recv_gpu) return copy_by_pieces(run);
  return idle && copy(run);
}

bool SelfCopy::copy(Run& run) noexcept {
  const std::int64_t bytes = std::min(kSlice, left_);
  const plan::Pair& self = run.plan->self;
  const StoreTimer timer(run.storing, run.traffic.self);
  run.context->kernels->copy(run.recv_base, *self.recv, recv_, run.send_base, *self.send, send_,
                             static_cast<std::size_t>(bytes), run.storing.stores);
  left_ -= bytes;
  run.traffic.self += bytes;
  return true;
}

/// All at once.
bool SelfCopy::copy_by_gpu(Run& run) noexcept {
  device::Queue& queue = *common_queue(run);
  if (left_ > 0) {
    const std::size_t index = self_index(run);
    const std::optional<device::Ticket> ticket =
        queue.copy(run.recv_gpu.at(run.recv_base, index, 0), run.send_gpu.at(run.send_base, index, 0), left_);
    if (!ticket) return false;
    ticket_ = *ticket;
    run.traffic.self += left_;
    left_ = 0;
    return true;
  }
  if (!queue.done(ticket_)) return false;
  ticket_ = 0;
  return true;
}

/// Between a GPU and the host, or two GPUs: through host memory, in slices.
bool SelfCopy::copy_by_pieces(Run& run) noexcept {
  bool happened = false;
  for (Piece& piece : pieces_) happened |= advance(run, piece);
  std::erase_if(pieces_, [&](const Piece& piece) {
    return piece.scattering && (!run.recv_gpu || run.recv_gpu.queue->done(piece.scattered));
  });
  if (left_ > 0 && pieces_.size() < kPieces) happened |= gather_piece(run);
  return happened;
}

bool SelfCopy::gather_piece(Run& run) noexcept {
  Piece piece;
  piece.bytes = std::min(left_, kSlice);
  piece.position = run.plan->self.send->bytes - left_;
  const auto size = static_cast<std::size_t>(piece.bytes);
  try {
    piece.memory = std::make_unique<std::byte[]>(size);
    pieces_.reserve(kPieces);
  } catch (const std::exception& error) {
    run.fail({Code::no_memory, error.what()});
    abandon(run);
    return true;
  }
  if (run.send_gpu) {
    const std::optional<device::Ticket> ticket = run.send_gpu.queue->gather(
        run.send_gpu.at(run.send_base, self_index(run), piece.position), piece.memory.get(), size);
    if (!ticket) return false;
    piece.gathered = *ticket;
  } else {
    run.context->kernels->gather(run.send_base, *run.plan->self.send, send_, piece.memory.get(), size,
                                 kernels::Stores::cached);
  }
  left_ -= piece.bytes;
  run.traffic.self += piece.bytes;
  pieces_.push_back(std::move(piece));
  return true;
}

/// Hands a piece that has been gathered to where it goes. The host scatters them in their order.
bool SelfCopy::advance(Run& run, Piece& piece) noexcept {
  if (piece.scattering || (run.send_gpu && !run.send_gpu.queue->done(piece.gathered))) return false;
  const auto size = static_cast<std::size_t>(piece.bytes);
  if (run.recv_gpu) {
    const std::optional<device::Ticket> ticket = run.recv_gpu.queue->scatter(
        run.recv_gpu.at(run.recv_base, self_index(run), piece.position), piece.memory.get(), size);
    if (!ticket) return false;
    piece.scattered = *ticket;
  } else {
    run.context->kernels->scatter(run.recv_base, *run.plan->self.recv, recv_, piece.memory.get(), size,
                                  run.storing.stores);
  }
  piece.scattering = true;
  return true;
}

void SelfCopy::abandon(const Run& run) noexcept {
  if (ticket_ != 0 || !pieces_.empty())
    for (const GpuSide* const side : {&run.send_gpu, &run.recv_gpu})
      if (*side) side->queue->wait();
  left_ = 0;
  ticket_ = 0;
  pieces_.clear();
}

}  // namespace mpix::engine
