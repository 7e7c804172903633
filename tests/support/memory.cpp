// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/memory.hpp"

#include <mpix_layout.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "tests/support/gpu.hpp"

namespace mpix::test {
namespace {

bool is_gpu(MemoryKind kind) {
  return kind >= MemoryKind::device;
}

gpu::Memory gpu_memory(MemoryKind kind) {
  switch (kind) {
    case MemoryKind::managed:
      return gpu::Memory::managed;
    case MemoryKind::pinned:
      return gpu::Memory::pinned;
    case MemoryKind::pooled:
      return gpu::Memory::pooled;
    case MemoryKind::elsewhere:
      return gpu::Memory::elsewhere;
    default:
      return gpu::Memory::device;
  }
}

/// Whether the host has to ask for what is there.
bool is_copied(MemoryKind kind) {
  return is_gpu(kind) && kind != MemoryKind::pinned;
}

void* allocate(MemoryKind kind, std::size_t size) {
  void* memory = nullptr;
  if (is_gpu(kind)) return gpu::allocate(gpu_memory(kind), size);
  if (kind == MemoryKind::ordinary) {
    memory = std::malloc(size);
  } else if (MPIX_Layout_mem_alloc(static_cast<MPI_Aint>(size), MPI_INFO_NULL, &memory) != MPI_SUCCESS) {
    memory = nullptr;
  }
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

MemoryKind random_kind(Rng& rng) {
  if (gpu::share() > 0 && rng.chance(gpu::share())) {
    if (rng.chance(70)) return rng.chance(90) ? MemoryKind::device : MemoryKind::elsewhere;
    return rng.chance(40) ? MemoryKind::managed : rng.chance(50) ? MemoryKind::pinned : MemoryKind::pooled;
  }
  if (rng.chance(40)) return MemoryKind::ordinary;
  return rng.chance(50) ? MemoryKind::mapped : MemoryKind::inside;
}

const char* name_of(MemoryKind kind) {
  switch (kind) {
    case MemoryKind::ordinary:
      return "malloc";
    case MemoryKind::mapped:
      return "mem_alloc";
    case MemoryKind::inside:
      return "inside mem_alloc";
    case MemoryKind::device:
      return "device";
    case MemoryKind::pooled:
      return "device, pooled";
    case MemoryKind::managed:
      return "managed";
    case MemoryKind::pinned:
      return "pinned";
    case MemoryKind::elsewhere:
      return "device, another context";
  }
  return "?";
}

void FreeMemory::operator()(void* memory) const noexcept {
  if (is_gpu(kind)) {
    gpu::release(gpu_memory(kind), memory);
  } else if (kind == MemoryKind::ordinary) {
    std::free(memory);
  } else if (MPIX_Layout_mem_free(memory) != MPI_SUCCESS) {
    std::fputs("FAILURE: MPIX_Layout_mem_free\n", stderr);
    std::abort();
  }
}

Buffer::Buffer(Rng& rng, MemoryKind kind, std::int64_t low, std::int64_t high) : kind_(kind), low_(low) {
  constexpr std::size_t kGuard = 128;
  if (kind != MemoryKind::mapped) before_ = kGuard + static_cast<std::size_t>(rng.between(0, 63));
  std::size_t skipped = 0;
  if (kind == MemoryKind::inside) skipped = static_cast<std::size_t>(rng.between(1, 20000));
  size_ = before_ + static_cast<std::size_t>(high - low) + kGuard;
  memory_ = std::unique_ptr<void, FreeMemory>(allocate(kind, skipped + size_), FreeMemory{kind});
  there_ = first_ = static_cast<std::byte*>(memory_.get()) + skipped;
  base_ = base_in(there_);
  if (!is_copied(kind)) return;
  copy_.resize(size_);
  first_ = copy_.data();
}

std::span<std::byte> Buffer::bytes() const {
  if (is_copied(kind_)) gpu::download(first_, there_, size_);
  return {first_, size_};
}

std::byte* Buffer::base_in(std::byte* copy) const {
  // The base may lie outside the allocation where the layout's lowest offset is above or below 0.
  const auto address = reinterpret_cast<std::uintptr_t>(copy);
  return reinterpret_cast<std::byte*>(address + before_ - static_cast<std::uintptr_t>(low_));
}

void Buffer::fill(std::uint64_t seed) {
  fill_pattern({first_, size_}, seed);
  if (is_copied(kind_)) gpu::upload(there_, first_, size_);
}

void Buffer::write(std::span<const std::byte> bytes) {
  std::copy(bytes.begin(), bytes.end(), first_);
  if (is_copied(kind_)) gpu::upload(there_, first_, size_);
}

void fill_pattern(std::span<std::byte> bytes, std::uint64_t seed) {
  std::uint64_t word = mix(seed, 5);
  std::size_t i = 0;
  for (; i + sizeof word <= bytes.size(); i += sizeof word) {
    word = word * 6364136223846793005u + 1442695040888963407u;
    const std::uint64_t mixed = word ^ (word >> 29);
    std::memcpy(bytes.data() + i, &mixed, sizeof mixed);
  }
  for (; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(mix(seed, i));
}

}  // namespace mpix::test
