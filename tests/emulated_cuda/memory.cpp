// SPDX-License-Identifier: BSD-3-Clause
// Memory of GPUs.
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "emulator.hpp"

namespace emulated {
namespace {

constexpr std::size_t kBlock = std::size_t{2} << 20;
constexpr std::size_t kGrain = 512;
constexpr std::size_t kMemory = std::size_t{16} << 30;   // of a GPU
constexpr std::size_t kPlaces = std::size_t{128} << 30;  // addresses
static_assert(Block::kSlots > kBlock / kGrain, "more slots than allocations");

std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

/// Addresses that belong to GPUs for good, so that those of freed memory become nothing else.
std::uintptr_t first_place() {
  static const std::uintptr_t first = [] {
    void* const reserved =
        ::mmap(nullptr, kPlaces, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED) return std::uintptr_t{0};
    ::madvise(reserved, kPlaces, MADV_DONTDUMP);
    return round_up(reinterpret_cast<std::uintptr_t>(reserved), kBlock);
  }();
  return first;
}

/// The lowest addresses that are free for a block; 0 for none.
std::uintptr_t find_place(std::size_t bytes) {
  if (first_place() == 0) return 0;
  std::map<std::uintptr_t, std::size_t> taken;
  for (const auto& block : driver().blocks) taken[block->place] = round_up(block->bytes, kBlock);
  std::uintptr_t place = first_place();
  for (const auto& [start, length] : taken) {
    if (start - place >= bytes) break;
    place = start + length;
  }
  return place - first_place() + bytes <= kPlaces - kBlock ? place : 0;
}

std::size_t used_memory(int ordinal) {
  std::size_t used = 0;
  for (const auto& block : driver().blocks)
    if (!block->imported && block->ordinal == ordinal) used += block->bytes;
  return used;
}

std::shared_ptr<Block> make_block(int ordinal, std::size_t bytes) {
  if (bytes > kMemory - used_memory(ordinal)) return nullptr;
  auto block = std::make_shared<Block>();
  block->ordinal = ordinal;
  block->bytes = bytes;
  block->fd = ::memfd_create("emulated-cuda", MFD_CLOEXEC);
  struct stat info {};
  if (block->fd < 0 || ::ftruncate(block->fd, static_cast<off_t>(Block::kHeader + bytes)) != 0 ||
      ::fstat(block->fd, &info) != 0 || !block->map())
    return nullptr;
  block->inode = info.st_ino;
  driver().blocks.push_back(block);
  return block;
}

/// The lowest offset in the block that is free for `bytes`; -1 for none.
std::ptrdiff_t free_offset(const std::shared_ptr<Block>& block, std::size_t bytes) {
  std::size_t at = 0;
  const auto& allocations = driver().allocations;
  for (auto next = allocations.lower_bound(block->place); next != allocations.end(); ++next) {
    const std::size_t start = next->first - block->place;
    if (start >= block->bytes || start >= at + bytes) break;
    at = round_up(start + next->second.bytes, kGrain);
  }
  return at + bytes <= block->bytes ? static_cast<std::ptrdiff_t>(at) : -1;
}

/// A block of the GPU and an offset in it; null without memory.
std::shared_ptr<Block> find_room(int ordinal, std::size_t bytes, std::ptrdiff_t& offset) {
  for (const auto& block : driver().blocks) {
    if (block->imported || block->ordinal != ordinal) continue;
    if ((offset = free_offset(block, bytes)) >= 0) return block;
  }
  offset = 0;
  return bytes <= kMemory ? make_block(ordinal, round_up(bytes, kBlock)) : nullptr;
}

CUresult allocate(CUdeviceptr* result, std::size_t bytes, CUcontext context, bool pool) {
  if (bytes == 0 || result == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Driver& d = driver();
  const std::lock_guard guard(d.mutex);
  Allocation made;
  std::ptrdiff_t offset = -1;
  made.ordinal = context->ordinal;
  made.block = find_room(made.ordinal, bytes, offset);
  if (made.block == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
  made.address = made.block->place + static_cast<std::uintptr_t>(offset);
  made.bytes = bytes;
  made.buffer = d.next_buffer++;
  made.pool = pool;
  made.context = pool ? nullptr : context;
  while (made.slot + 1 < Block::kSlots && made.block->slot(made.slot) != 0) ++made.slot;
  made.block->set_slot(made.slot, made.buffer);
  ++made.block->uses;
  std::memset(made.at(made.address), 0xcd, bytes);  // what was there before must not be relied on
  *result = made.address;
  d.allocations[made.address] = std::move(made);
  return CUDA_SUCCESS;
}

/// Whether kernels of the context may use an allocation: not another context's, be it on the same GPU.
bool reaches(CUcontext context, const Allocation& allocation) {
  if (allocation.kind != Kind::device || allocation.context == context) return true;
  if (allocation.context == nullptr) return allocation.ordinal == context->ordinal;  // of a pool
  return context->peers.contains(allocation.context);
}

/// Whether the process that exported an allocation has freed it.
bool is_gone(const Allocation& allocation) {
  return allocation.opened > 0 && allocation.block->slot(allocation.slot) != allocation.block->buffer;
}

}  // namespace

bool Block::map() {
  void* const mapped = ::mmap(nullptr, kHeader + bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) return false;
  alias = static_cast<std::byte*>(mapped);
  place = find_place(bytes);
  return place != 0;
}

Block::~Block() {
  if (alias != nullptr) ::munmap(alias, kHeader + bytes);
  if (fd >= 0) ::close(fd);
}

bool is_device_place(std::uintptr_t address) {
  return first_place() != 0 && address - first_place() < kPlaces - kBlock;
}

/// The block goes with its last use, or stays where it is small.
void drop(const std::shared_ptr<Block>& block) {
  if (--block->uses > 0 || (!block->imported && block->bytes == kBlock)) return;
  const std::shared_ptr<Block> dropped = block;
  std::erase(driver().blocks, dropped);
}

CUresult release(std::uintptr_t address) {
  Driver& d = driver();
  const auto found = d.allocations.find(address);
  if (found == d.allocations.end() || found->second.opened > 0) return CUDA_ERROR_INVALID_VALUE;
  const Allocation freed = found->second;
  if (freed.kind != Kind::managed && freed.kind != Kind::device) return CUDA_ERROR_INVALID_VALUE;
  d.allocations.erase(found);
  if (freed.kind == Kind::managed) {
    ::munmap(reinterpret_cast<void*>(address), freed.bytes);
    return CUDA_SUCCESS;
  }
  if (!freed.block->imported) freed.block->set_slot(freed.slot, 0);
  drop(freed.block);
  return CUDA_SUCCESS;
}

Allocation* Driver::find(std::uintptr_t address) {
  auto after = allocations.upper_bound(address);
  if (after == allocations.begin()) return nullptr;
  Allocation& allocation = (--after)->second;
  return address - allocation.address < allocation.bytes ? &allocation : nullptr;
}

std::byte* Driver::resolve(std::uintptr_t address, std::size_t bytes, CUcontext context) {
  const Allocation* const allocation = find(address);
  auto* const host = reinterpret_cast<std::byte*>(address);
  if (allocation == nullptr) return context != nullptr || is_device_place(address) ? nullptr : host;
  if (is_gone(*allocation)) return nullptr;
  if (context != nullptr && !reaches(context, *allocation)) return nullptr;
  if (bytes > allocation->bytes - (address - allocation->address)) {
    // Copies may begin in pinned memory and go on in other host memory.
    return allocation->kind == Kind::device || context != nullptr ? nullptr : host;
  }
  return allocation->at(address);
}

}  // namespace emulated

using namespace emulated;

EMULATED CUresult CUDAAPI cuMemAlloc(CUdeviceptr* result, size_t bytes) {
  EMULATED_WAITING_CALL(cuMemAlloc, CUDA_ERROR_OUT_OF_MEMORY);
  return allocate(result, bytes, current(), false);
}

EMULATED CUresult CUDAAPI cuMemFree(CUdeviceptr address) {
  EMULATED_WAITING_CALL(cuMemFree, CUDA_ERROR_UNKNOWN);
  if (address == 0) return CUDA_SUCCESS;
  const std::lock_guard guard(driver().mutex);
  return release(address);
}

/// The address is there at once, though the memory is the stream's.
EMULATED CUresult CUDAAPI cuMemAllocAsync(CUdeviceptr* result, size_t bytes, CUstream handle) {
  EMULATED_STREAM_CALL(cuMemAllocAsync, CUDA_ERROR_OUT_OF_MEMORY, handle);
  return allocate(result, bytes, stream->context, true);
}

EMULATED CUresult CUDAAPI cuMemFreeAsync(CUdeviceptr address, CUstream handle) {
  EMULATED_STREAM_CALL(cuMemFreeAsync, CUDA_ERROR_UNKNOWN, handle);
  {
    const std::lock_guard guard(driver().mutex);
    const Allocation* const found = driver().find(address);
    if (found == nullptr || found->address != address || found->kind != Kind::device || found->opened > 0)
      return CUDA_ERROR_INVALID_VALUE;
  }
  submit(stream, [address] {
    const std::lock_guard guard(driver().mutex);
    if (release(address) != CUDA_SUCCESS) driver().illegal("memory is freed twice");
  });
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuMemGetInfo(size_t* free, size_t* total) {
  EMULATED_CONTEXT_CALL(cuMemGetInfo, CUDA_ERROR_UNKNOWN);
  const std::lock_guard guard(driver().mutex);
  *free = kMemory - used_memory(current()->ordinal);
  *total = kMemory;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuMemGetAddressRange(CUdeviceptr* base, size_t* bytes, CUdeviceptr address) {
  EMULATED_CALL(cuMemGetAddressRange, CUDA_ERROR_UNKNOWN);
  const std::lock_guard guard(driver().mutex);
  const Allocation* const found = driver().find(address);
  if (found == nullptr) return CUDA_ERROR_NOT_FOUND;
  if (base != nullptr) *base = found->address;
  if (bytes != nullptr) *bytes = found->bytes;
  return CUDA_SUCCESS;
}
