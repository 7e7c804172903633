// SPDX-License-Identifier: BSD-3-Clause
#include "memory/alloc.hpp"

#include <algorithm>
#include <mutex>

namespace mpix::memory {

std::byte* SharedAllocator::allocate(std::size_t bytes, std::size_t alignment) {
  Segment segment = Segment::create(std::max<std::size_t>(bytes, 1), alignment);
  std::byte* const base = segment.data();
  const std::lock_guard guard(mutex_);
  segments_.emplace(reinterpret_cast<std::uintptr_t>(base), std::move(segment));
  count_.store(segments_.size(), std::memory_order_release);
  return base;
}

bool SharedAllocator::free(void* base) {
  const std::lock_guard guard(mutex_);
  const auto found = segments_.find(reinterpret_cast<std::uintptr_t>(base));
  if (found == segments_.end()) return false;
  found->second.release_pages();
  segments_.erase(found);
  count_.store(segments_.size(), std::memory_order_release);
  return true;
}

std::optional<SharedPlace> SharedAllocator::find(const std::byte* base, std::int64_t lower,
                                                 std::int64_t upper) const {
  if (count_.load(std::memory_order_acquire) == 0) return std::nullopt;
  const auto address = reinterpret_cast<std::uintptr_t>(base);
  const std::uintptr_t first = address + static_cast<std::uintptr_t>(lower);
  const std::uintptr_t last = address + static_cast<std::uintptr_t>(upper);
  const std::shared_lock guard(mutex_);
  auto above = segments_.upper_bound(first);
  if (above == segments_.begin()) return std::nullopt;
  const auto& [start, segment] = *--above;
  if (last > start + segment.bytes()) return std::nullopt;
  return SharedPlace{segment.name(), static_cast<std::int64_t>(address - start)};
}

}  // namespace mpix::memory
