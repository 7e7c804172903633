// SPDX-License-Identifier: BSD-3-Clause
/// What MPIX_Layout_mem_alloc gave out, and how to find it again from an address.
#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <optional>
#include <shared_mutex>

#include "memory/segment.hpp"

namespace mpix::memory {

/// A place in a shared segment.
struct SharedPlace {
  SegmentName segment;
  std::int64_t offset = 0;  ///< of the address that was asked for, in the segment
};

/// Thread-safe.
class SharedAllocator {
 public:
  /// `bytes` of zeroed memory (0 gives one unusable byte). Throws Error (no_memory).
  std::byte* allocate(std::size_t bytes, std::size_t alignment);
  /// False where `base` was not given out by allocate.
  bool free(void* base);
  /// The segment that holds every byte of [base + lower, base + upper); none where there is no such segment.
  std::optional<SharedPlace> find(const std::byte* base, std::int64_t lower, std::int64_t upper) const;

 private:
  mutable std::shared_mutex mutex_;
  std::map<std::uintptr_t, Segment> segments_;  // by address
  std::atomic<std::size_t> count_{0};
};

}  // namespace mpix::memory
