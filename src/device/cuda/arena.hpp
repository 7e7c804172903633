// SPDX-License-Identifier: BSD-3-Clause
/// Pinned host memory in which a queue keeps what lives until a launch is done, and as much memory of the
/// GPU.
#pragma once

#include <cstddef>
#include <deque>
#include <utility>
#include <vector>

#include "device/device.hpp"
#include "handle/cuda.hpp"

namespace mpix::device::cuda {

/// A ring: pieces are taken for tickets in ascending order, and given back in that order.
class Arena {
 public:
  /// Pieces lie at multiples of this.
  static constexpr std::size_t kAlignment = 256;

  /// Throws Error.
  Arena(const CudaContextPointer& context, std::size_t bytes);
  /// Null where there is no room now, or, with `status` set, no memory. For pieces of more than half of the
  /// arena it grows.
  std::byte* take(std::size_t bytes, Ticket ticket, Status& status) noexcept;
  /// Takes back all pieces of tickets up to `done`.
  void release(Ticket done) noexcept;

  /// The GPU's memory for the piece that was taken last.
  CUdeviceptr twin(const std::byte* piece) const noexcept {
    return twin_.get() + static_cast<std::size_t>(piece - static_cast<const std::byte*>(memory_.get()));
  }

  std::size_t capacity() const noexcept { return bytes_; }

 private:
  struct Taken {
    std::size_t end;
    Ticket ticket;
  };
  void grow(std::size_t bytes);

  CudaPinned memory_;
  CudaMemory twin_;
  std::size_t bytes_;
  std::size_t end_ = 0;                                      // of the piece taken last
  std::size_t begin_ = 0;                                    // of the piece taken first
  std::deque<Taken> taken_;                                  // in this order
  std::vector<std::pair<CudaPinned, CudaMemory>> outgrown_;  // kept to the end: freeing would wait
};

}  // namespace mpix::device::cuda
