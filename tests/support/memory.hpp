// SPDX-License-Identifier: BSD-3-Clause
/// Buffers of tests: the bytes that a layout touches with guards on both sides, in memory of several kinds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "tests/support/rng.hpp"

namespace mpix::test {

enum class MemoryKind {
  ordinary,   ///< malloc
  mapped,     ///< MPIX_Layout_mem_alloc, from the very start of the allocation, without a guard before
  inside,     ///< MPIX_Layout_mem_alloc, somewhere in the middle of the allocation
  device,     ///< a GPU's
  pooled,     ///< a GPU's, from a memory pool
  managed,    ///< migrates between host and GPU
  pinned,     ///< the host's, which GPUs can use
  elsewhere,  ///< a GPU's, of another context
};

/// As many as gpu::share() says are a GPU's.
MemoryKind random_kind(Rng& rng);
const char* name_of(MemoryKind kind);

struct FreeMemory {
  MemoryKind kind = MemoryKind::ordinary;
  void operator()(void* memory) const noexcept;
};

/// Bytes [low, high) around an address, with guards before and after that belong to bytes(). Not copied.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Rng& rng, MemoryKind kind, std::int64_t low, std::int64_t high);

  /// The address that offsets refer to, for the library.
  std::byte* base() const { return base_; }
  /// The same in host memory, which holds what bytes() found last, or fill() wrote.
  std::byte* host_base() const { return base_in(first_); }
  /// What the buffer holds now.
  std::span<std::byte> bytes() const;
  MemoryKind kind() const { return kind_; }
  /// The first byte, where the library finds it.
  std::byte* there() const { return there_; }
  /// As many bytes as there are.
  void write(std::span<const std::byte> bytes);
  /// Fills all bytes with a pattern that differs from any other seed's.
  void fill(std::uint64_t seed);
  /// Where `base` would lie in a copy of bytes() that starts at `copy`.
  std::byte* base_in(std::byte* copy) const;

 private:
  MemoryKind kind_ = MemoryKind::ordinary;
  std::unique_ptr<void, FreeMemory> memory_;
  mutable std::vector<std::byte> copy_;  ///< of memory that the host does not touch
  std::byte* there_ = nullptr;           ///< the first byte, in memory of `kind_`
  std::byte* first_ = nullptr;           ///< where the host finds it
  std::byte* base_ = nullptr;
  std::size_t size_ = 0;
  std::size_t before_ = 0;  ///< guard bytes in front of the lowest offset
  std::int64_t low_ = 0;
};

/// Fills `bytes` with a pattern of `seed`.
void fill_pattern(std::span<std::byte> bytes, std::uint64_t seed);

}  // namespace mpix::test
