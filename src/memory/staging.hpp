// SPDX-License-Identifier: BSD-3-Clause
/// A rank's staging memory inside a node: a fixed number of slots in one segment, filled by this rank and
/// emptied by its peers, whichever communicator they meet on.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "memory/segment.hpp"

namespace mpix::memory {

/// Both sides' view of the segment: one line of state for each slot, then the slots.
class StagingView {
 public:
  StagingView() noexcept = default;
  StagingView(std::byte* base, std::uint32_t slots, std::size_t slot_bytes) noexcept
      : base_(base), slots_(slots), slot_bytes_(slot_bytes) {}

  static std::size_t total_bytes(std::uint32_t slots, std::size_t slot_bytes) noexcept;
  std::byte* slot(std::uint32_t index) const noexcept;
  /// Marks a slot as free again; called by whoever emptied it.
  void release(std::uint32_t index) const noexcept { busy(index).store(0, std::memory_order_release); }
  /// Takes a free slot, the most recently used first, so that few slots stay in the caches. False if none.
  bool acquire(std::uint32_t& index) const noexcept;
  std::uint32_t slots() const noexcept { return slots_; }
  std::size_t slot_bytes() const noexcept { return slot_bytes_; }

 private:
  std::atomic<std::uint32_t>& busy(std::uint32_t index) const noexcept;
  std::byte* base_ = nullptr;
  std::uint32_t slots_ = 0;
  std::size_t slot_bytes_ = 0;
};

/// How a peer finds the staging memory of a process.
struct StagingName {
  SegmentName segment;
  std::uint32_t slots = 0;
  std::uint64_t slot_bytes = 0;
};

/// The process's own staging memory. Thread-safe.
class Staging {
 public:
  /// `total` bytes in slots of at most `slot_bytes`, at least four of them. Throws Error (no_memory).
  Staging(std::int64_t total, std::int64_t slot_bytes);
  const StagingView& view() const noexcept { return view_; }
  StagingName name() const noexcept;
  std::span<std::byte> memory() const noexcept { return {segment_.data(), segment_.bytes()}; }
  /// Address of the segment in this process.
  std::uint64_t address() const noexcept { return reinterpret_cast<std::uintptr_t>(segment_.data()); }

 private:
  std::size_t slot_bytes_;
  std::uint32_t slots_;
  Segment segment_;
  StagingView view_;
};

}  // namespace mpix::memory
