// SPDX-License-Identifier: BSD-3-Clause
#include "memory/staging.hpp"

#include <algorithm>
#include <new>

namespace mpix::memory {
namespace {

constexpr std::size_t kLine = 64;
constexpr std::size_t kPage = 4096;

std::size_t state_bytes(std::uint32_t slots) noexcept {
  return (slots * kLine + kPage - 1) & ~(kPage - 1);
}

}  // namespace

std::size_t StagingView::total_bytes(std::uint32_t slots, std::size_t slot_bytes) noexcept {
  return state_bytes(slots) + slots * slot_bytes;
}

std::byte* StagingView::slot(std::uint32_t index) const noexcept {
  return base_ + state_bytes(slots_) + index * slot_bytes_;
}

std::atomic<std::uint32_t>& StagingView::busy(std::uint32_t index) const noexcept {
  // Zeroed shared memory is a valid representation of a lock-free atomic zero.
  return *std::launder(reinterpret_cast<std::atomic<std::uint32_t>*>(base_ + index * kLine));
}

bool StagingView::acquire(std::uint32_t& index) const noexcept {
  for (index = 0; index < slots_; ++index) {
    std::uint32_t expected = 0;
    if (busy(index).load(std::memory_order_relaxed) == 0 &&
        busy(index).compare_exchange_strong(expected, 1, std::memory_order_acquire))
      return true;
  }
  return false;
}

Staging::Staging(std::int64_t total, std::int64_t slot_bytes)
    : slot_bytes_(static_cast<std::size_t>(std::min(slot_bytes, total / 4)) & ~(kLine - 1)),
      slots_(static_cast<std::uint32_t>(static_cast<std::size_t>(total) / slot_bytes_)),
      segment_(Segment::create(StagingView::total_bytes(slots_, slot_bytes_), kPage)),
      view_(segment_.data(), slots_, slot_bytes_) {}

StagingName Staging::name() const noexcept {
  return {segment_.name(), slots_, slot_bytes_};
}

}  // namespace mpix::memory
