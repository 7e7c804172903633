// SPDX-License-Identifier: BSD-3-Clause
/// What a rank has for itself.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/pair.hpp"

namespace mpix::engine {

class SelfCopy {
 public:
  /// Begins to copy `bytes` bytes.
  void start(std::int64_t bytes) noexcept;
  bool done() const noexcept { return left_ == 0 && pieces_.empty() && ticket_ == 0; }
  /// Copies a part; returns whether anything happened. `idle`: there is nothing else to do for the host.
  bool step(Run& run, bool idle) noexcept;
  /// Gives up what is left. Waits for what GPUs still do.
  void abandon(const Run& run) noexcept;
  /// Drops the memory that an exchange between host and GPU took.
  void release() noexcept { pieces_.clear(); }

 private:
  /// On its way through host memory, between a GPU and the host or another GPU.
  struct Piece {
    std::unique_ptr<std::byte[]> memory;
    std::int64_t position, bytes;
    device::Ticket gathered = 0, scattered = 0;
    bool scattering = false;
  };

  bool copy(Run& run) noexcept;
  bool copy_by_gpu(Run& run) noexcept;
  bool copy_by_pieces(Run& run) noexcept;
  bool gather_piece(Run& run) noexcept;
  bool advance(Run& run, Piece& piece) noexcept;

  std::int64_t left_ = 0;
  kernels::Cursor send_, recv_;
  device::Ticket ticket_ = 0;  // of the copy that a GPU does by itself
  std::vector<Piece> pieces_;
};

}  // namespace mpix::engine
