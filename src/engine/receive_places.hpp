// SPDX-License-Identifier: BSD-3-Clause
/// Bytes that are not received in order.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "kernels/blocks.hpp"
#include "kernels/host.hpp"

namespace mpix::engine {

/// Where a cursor stands, in bytes from the buffer's address, and how many bytes of its run follow there.
struct PlaceInRun {
  std::int64_t offset, rest;
};
PlaceInRun place_in_run(const kernels::Blocks& blocks, const kernels::Cursor& cursor) noexcept;

/// Where bytes go that do not come in order.
class ReceivePlaces {
 public:
  /// Where byte `offset` of what is received by `blocks` goes, which are the same at every call. May allocate
  /// at the first call.
  kernels::Cursor cursor(const kernels::Blocks& blocks, std::int64_t offset);

 private:
  std::vector<std::int64_t> ends_;  // of segments, in listing order
};

/// Scatters many short pieces into one receive buffer by few calls of the kernels, which then know what comes
/// next: they fetch it ahead, and wait for stores past the caches once. All is in place when it is destroyed.
class PieceScatter {
 public:
  PieceScatter(const kernels::HostKernels& kernels, std::byte* target, const kernels::Blocks& blocks,
               const std::byte* source, kernels::Stores stores) noexcept
      : kernels_(kernels), target_(target), blocks_(blocks), source_(source), stores_(stores) {}
  ~PieceScatter() { flush(); }
  PieceScatter(const PieceScatter&) = delete;
  PieceScatter& operator=(const PieceScatter&) = delete;

  /// `bytes` bytes, `from` bytes from the source's begin, go where `to` says.
  void add(kernels::Cursor to, std::int64_t from, std::int64_t bytes) noexcept;

 private:
  static constexpr std::size_t kMost = 512;

  void flush() noexcept;

  const kernels::HostKernels& kernels_;
  std::byte* const target_;
  const kernels::Blocks& blocks_;
  const std::byte* const source_;
  const kernels::Stores stores_;
  // Pieces that wait, all of one length:
  std::int64_t length_ = 0;
  std::size_t pieces_ = 0;
  std::array<std::int64_t, kMost> to_, from_;
};

}  // namespace mpix::engine
