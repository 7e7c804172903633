// SPDX-License-Identifier: BSD-3-Clause
// Memory of GPUs, managed, pinned and registered memory, and what is known of pointers.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "emulator.hpp"

namespace emulated {
namespace {

constexpr std::size_t kBlock = std::size_t{2} << 20;
constexpr std::size_t kGrain = 512;

std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

/// Maps both views of `block`, whose fd and size are set. False without memory.
bool map(Block& block) {
  void* const alias =
      ::mmap(nullptr, Block::kHeader + block.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, block.fd, 0);
  void* const place =
      ::mmap(nullptr, block.bytes, PROT_NONE, MAP_SHARED, block.fd, static_cast<off_t>(Block::kHeader));
  if (alias != MAP_FAILED) block.alias = static_cast<std::byte*>(alias);
  if (place != MAP_FAILED) block.place = static_cast<std::byte*>(place);
  return block.alias != nullptr && block.place != nullptr;
}

std::shared_ptr<Block> make_block(std::size_t bytes) {
  auto block = std::make_shared<Block>();
  block->bytes = bytes;
  block->fd = ::memfd_create("emulated-cuda", MFD_CLOEXEC);
  struct stat info {};
  if (block->fd < 0 || ::ftruncate(block->fd, static_cast<off_t>(Block::kHeader + bytes)) != 0 ||
      ::fstat(block->fd, &info) != 0 || !map(*block))
    return nullptr;
  block->inode = info.st_ino;
  return block;
}

/// The lowest place in the block that is free for `bytes`; -1 for none.
std::ptrdiff_t free_place(Driver& d, const std::shared_ptr<Block>& block, std::size_t bytes) {
  const auto start = reinterpret_cast<std::uintptr_t>(block->place);
  std::size_t at = 0;
  for (const auto& [address, allocation] : d.allocations) {
    if (allocation.block != block) continue;
    if (address - start >= at + bytes) break;
    at = round_up(address - start + allocation.bytes, kGrain);
  }
  return at + bytes <= block->bytes ? static_cast<std::ptrdiff_t>(at) : -1;
}

CUresult allocate(CUdeviceptr* result, std::size_t bytes, bool pool) {
  if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  Driver& d = driver();
  const std::lock_guard guard(d.mutex);
  if (current() == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  std::shared_ptr<Block> block;
  std::ptrdiff_t at = -1;
  for (const auto& known : d.blocks) {
    if (known->imported || (at = free_place(d, known, bytes)) < 0) continue;
    block = known;
    break;
  }
  if (block == nullptr) {
    block = make_block(round_up(bytes, kBlock));
    if (block == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
    d.blocks.push_back(block);
    at = 0;
  }
  Allocation made;
  made.ordinal = current()->ordinal;
  made.address = reinterpret_cast<std::uintptr_t>(block->place) + static_cast<std::uintptr_t>(at);
  made.bytes = bytes;
  made.buffer = d.next_buffer++;
  made.pool = pool;
  made.context = pool ? nullptr : current();
  made.block = block;
  while (made.slot + 1 < Block::kSlots && block->slots()[made.slot] != 0) ++made.slot;
  block->slots()[made.slot] = made.buffer;
  ++block->uses;
  std::memset(made.at(made.address), 0xcd, bytes);  // what was there before must not be relied on
  *result = made.address;
  d.allocations[made.address] = std::move(made);
  return CUDA_SUCCESS;
}

/// Gives up one use of a block, which goes with the last one, or stays where it is small.
void drop(Driver& d, const std::shared_ptr<Block>& block) {
  if (--block->uses > 0 || (!block->imported && block->bytes == kBlock)) return;
  std::erase(d.blocks, block);
}

CUresult release(CUdeviceptr address) {
  Driver& d = driver();
  const std::lock_guard guard(d.mutex);
  const auto found = d.allocations.find(address);
  if (found == d.allocations.end() || found->second.opened > 0) return CUDA_ERROR_INVALID_VALUE;
  if (found->second.kind == Kind::managed) {
    ::munmap(reinterpret_cast<void*>(address), found->second.bytes);
  } else if (found->second.kind == Kind::device) {
    const std::shared_ptr<Block> block = found->second.block;
    block->slots()[found->second.slot] = 0;
    d.allocations.erase(found);
    drop(d, block);
    return CUDA_SUCCESS;
  } else {
    return CUDA_ERROR_INVALID_VALUE;
  }
  d.allocations.erase(found);
  return CUDA_SUCCESS;
}

void remember(Kind kind, const void* memory, std::size_t bytes) {
  Driver& d = driver();
  Allocation made;
  made.kind = kind;
  made.ordinal = current() != nullptr ? current()->ordinal : 0;
  made.address = reinterpret_cast<std::uintptr_t>(memory);
  made.bytes = bytes;
  made.buffer = d.next_buffer++;
  made.context = current();
  d.allocations[made.address] = made;
}

/// Forgets host memory of `kind` that begins at `memory`.
bool forget(Kind kind, const void* memory) {
  Driver& d = driver();
  const auto found = d.allocations.find(reinterpret_cast<std::uintptr_t>(memory));
  if (found == d.allocations.end() || found->second.kind != kind) return false;
  d.allocations.erase(found);
  return true;
}

struct Handle {
  std::int32_t pid, fd;
  std::uint64_t inode, block_bytes, offset, bytes, buffer, slot;
};
static_assert(sizeof(Handle) <= sizeof(CUipcMemHandle));

/// The block behind a handle, mapped here already or from now on.
std::shared_ptr<Block> import_block(Driver& d, const Handle& handle) {
  for (const auto& block : d.blocks)
    if (block->imported && block->inode == handle.inode && block->buffer == handle.buffer) return block;
  auto block = std::make_shared<Block>();
  block->imported = true;
  block->inode = handle.inode;
  block->buffer = handle.buffer;
  block->bytes = handle.block_bytes;
  const std::string path = "/proc/" + std::to_string(handle.pid) + "/fd/" + std::to_string(handle.fd);
  block->fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  struct stat info {};
  if (block->fd < 0 || ::fstat(block->fd, &info) != 0 || info.st_ino != handle.inode || !map(*block))
    return nullptr;
  d.blocks.push_back(block);
  return block;
}

}  // namespace

Block::~Block() {
  if (alias != nullptr) ::munmap(alias, kHeader + bytes);
  if (place != nullptr) ::munmap(place, bytes);
  if (fd >= 0) ::close(fd);
}

Allocation* Driver::find(std::uintptr_t address) {
  auto after = allocations.upper_bound(address);
  if (after == allocations.begin()) return nullptr;
  Allocation& allocation = (--after)->second;
  return address - allocation.address < allocation.bytes ? &allocation : nullptr;
}

bool Driver::is_device_place(std::uintptr_t address) {
  return std::any_of(blocks.begin(), blocks.end(), [&](const std::shared_ptr<Block>& block) {
    return address - reinterpret_cast<std::uintptr_t>(block->place) < block->bytes;
  });
}

std::byte* Driver::resolve(std::uintptr_t address, std::size_t bytes, bool kernel) {
  const Allocation* const allocation = find(address);
  if (allocation == nullptr)
    return kernel || is_device_place(address) ? nullptr : reinterpret_cast<std::byte*>(address);
  if (bytes > allocation->bytes - (address - allocation->address)) {
    // Copies may begin in pinned memory and go on in other host memory.
    return allocation->kind == Kind::device || kernel ? nullptr : reinterpret_cast<std::byte*>(address);
  }
  return allocation->at(address);
}

}  // namespace emulated

using namespace emulated;

EMULATED CUresult CUDAAPI cuMemAlloc(CUdeviceptr* result, size_t bytes) {
  EMULATED_CALL(cuMemAlloc, CUDA_ERROR_OUT_OF_MEMORY);
  return allocate(result, bytes, false);
}

EMULATED CUresult CUDAAPI cuMemFree(CUdeviceptr address) {
  EMULATED_CALL(cuMemFree, CUDA_ERROR_UNKNOWN);
  if (address == 0) return CUDA_SUCCESS;
  await_all();
  return release(address);
}

EMULATED CUresult CUDAAPI cuMemAllocAsync(CUdeviceptr* result, size_t bytes, CUstream) {
  EMULATED_CALL(cuMemAllocAsync, CUDA_ERROR_OUT_OF_MEMORY);
  return allocate(result, bytes, true);
}

EMULATED CUresult CUDAAPI cuMemFreeAsync(CUdeviceptr address, CUstream stream) {
  EMULATED_CALL(cuMemFreeAsync, CUDA_ERROR_UNKNOWN);
  submit(stream_of(stream), [address] { static_cast<void>(release(address)); });
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuMemAllocManaged(CUdeviceptr* result, size_t bytes, unsigned int) {
  EMULATED_CALL(cuMemAllocManaged, CUDA_ERROR_OUT_OF_MEMORY);
  void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
  const std::lock_guard guard(driver().mutex);
  remember(Kind::managed, memory, bytes);
  *result = reinterpret_cast<CUdeviceptr>(memory);
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuMemHostAlloc(void** result, size_t bytes, unsigned int) {
  EMULATED_CALL(cuMemHostAlloc, CUDA_ERROR_OUT_OF_MEMORY);
  *result = std::aligned_alloc(4096, round_up(bytes, 4096));
  if (*result == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
  const std::lock_guard guard(driver().mutex);
  remember(Kind::pinned, *result, bytes);
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuMemFreeHost(void* memory) {
  EMULATED_CALL(cuMemFreeHost, CUDA_ERROR_UNKNOWN);
  await_all();
  const std::lock_guard guard(driver().mutex);
  if (!forget(Kind::pinned, memory)) return CUDA_ERROR_INVALID_VALUE;
  std::free(memory);
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuMemHostRegister(void* memory, size_t bytes, unsigned int) {
  EMULATED_CALL(cuMemHostRegister, CUDA_ERROR_NOT_SUPPORTED);
  const std::lock_guard guard(driver().mutex);
  if (driver().find(reinterpret_cast<std::uintptr_t>(memory)) != nullptr)
    return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  remember(Kind::registered, memory, bytes);
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuMemHostUnregister(void* memory) {
  EMULATED_CALL(cuMemHostUnregister, CUDA_ERROR_UNKNOWN);
  const std::lock_guard guard(driver().mutex);
  return forget(Kind::registered, memory) ? CUDA_SUCCESS : CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
}

EMULATED CUresult CUDAAPI cuMemHostGetDevicePointer(CUdeviceptr* result, void* memory, unsigned int) {
  EMULATED_CALL(cuMemHostGetDevicePointer, CUDA_ERROR_UNKNOWN);
  const std::lock_guard guard(driver().mutex);
  if (driver().find(reinterpret_cast<std::uintptr_t>(memory)) == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *result = reinterpret_cast<CUdeviceptr>(memory);
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

namespace {

template <typename T>
void give(void* data, T value) {
  std::memcpy(data, &value, sizeof value);
}

/// `found`: null for memory of which no GPU knows, whose values are zeros.
CUresult attribute_of(const Allocation* found, CUpointer_attribute attribute, CUdeviceptr address,
                      void* data) {
  const bool device = found != nullptr && (found->kind == Kind::device || found->kind == Kind::managed);
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
      give<CUcontext>(data, found != nullptr ? found->context : nullptr);
      break;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
      give<unsigned>(data, found == nullptr ? 0 : device ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST);
      break;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
      give<CUdeviceptr>(data, found != nullptr ? address : 0);
      break;
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
      give<CUdeviceptr>(data, found != nullptr && found->kind != Kind::device ? address : 0);
      break;
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
      give<unsigned long long>(data, found != nullptr ? found->buffer : 0);
      break;
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
      give<unsigned>(data, found != nullptr && found->kind == Kind::managed);
      break;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      give<int>(data, found != nullptr ? found->ordinal : -2);
      break;
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
      give<bool>(data, found != nullptr && found->kind == Kind::device && !found->pool);
      break;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
      give<CUdeviceptr>(data, found != nullptr ? found->address : 0);
      break;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
      give<size_t>(data, found != nullptr ? found->bytes : 0);
      break;
    case CU_POINTER_ATTRIBUTE_MAPPED:
      give<bool>(data, found != nullptr);
      break;
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
      give<CUmemoryPool>(data, found != nullptr && found->pool ? reinterpret_cast<CUmemoryPool>(1) : nullptr);
      break;
    default:
      return CUDA_ERROR_NOT_SUPPORTED;
  }
  return CUDA_SUCCESS;
}

}  // namespace

EMULATED CUresult CUDAAPI cuPointerGetAttribute(void* data, CUpointer_attribute attribute,
                                                CUdeviceptr address) {
  EMULATED_CALL(cuPointerGetAttribute, CUDA_ERROR_UNKNOWN);
  const std::lock_guard guard(driver().mutex);
  const Allocation* const found = driver().find(address);
  return found == nullptr ? CUDA_ERROR_INVALID_VALUE : attribute_of(found, attribute, address, data);
}

EMULATED CUresult CUDAAPI cuPointerGetAttributes(unsigned int count, CUpointer_attribute* attributes,
                                                 void** data, CUdeviceptr address) {
  EMULATED_CALL(cuPointerGetAttributes, CUDA_ERROR_UNKNOWN);
  const std::lock_guard guard(driver().mutex);
  const Allocation* const found = driver().find(address);
  for (unsigned i = 0; i < count; ++i)
    if (const CUresult result = attribute_of(found, attributes[i], address, data[i]); result != CUDA_SUCCESS)
      return result;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuIpcGetMemHandle(CUipcMemHandle* result, CUdeviceptr address) {
  EMULATED_CALL(cuIpcGetMemHandle, CUDA_ERROR_NOT_SUPPORTED);
  const std::lock_guard guard(driver().mutex);
  const Allocation* const found = driver().find(address);
  if (found == nullptr || found->kind != Kind::device || found->pool || found->opened > 0)
    return CUDA_ERROR_INVALID_VALUE;
  const Handle handle{::getpid(),
                      found->block->fd,
                      found->block->inode,
                      found->block->bytes,
                      found->address - reinterpret_cast<std::uintptr_t>(found->block->place),
                      found->bytes,
                      found->buffer,
                      found->slot};
  std::memset(result, 0, sizeof *result);
  std::memcpy(result, &handle, sizeof handle);
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuIpcOpenMemHandle(CUdeviceptr* result, CUipcMemHandle raw, unsigned int) {
  EMULATED_CALL(cuIpcOpenMemHandle, CUDA_ERROR_UNKNOWN);
  Handle handle;
  std::memcpy(&handle, &raw, sizeof handle);
  if (handle.pid == ::getpid()) return CUDA_ERROR_INVALID_CONTEXT;
  Driver& d = driver();
  const std::lock_guard guard(d.mutex);
  if (current() == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  const std::shared_ptr<Block> block = import_block(d, handle);
  if (block == nullptr) return CUDA_ERROR_MAP_FAILED;
  if (block->slots()[handle.slot] != handle.buffer) return CUDA_ERROR_INVALID_VALUE;
  Allocation made;
  made.address = reinterpret_cast<std::uintptr_t>(block->place) + handle.offset;
  const auto known = d.allocations.find(made.address);
  if (known != d.allocations.end()) {
    ++known->second.opened;
  } else {
    made.ordinal = current()->ordinal;
    made.bytes = handle.bytes;
    made.buffer = d.next_buffer++;
    made.context = current();
    made.block = block;
    made.slot = handle.slot;
    made.opened = 1;
    ++block->uses;
    d.allocations[made.address] = made;
  }
  *result = made.address;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuIpcCloseMemHandle(CUdeviceptr address) {
  EMULATED_CALL(cuIpcCloseMemHandle, CUDA_ERROR_UNKNOWN);
  Driver& d = driver();
  const std::lock_guard guard(d.mutex);
  const auto found = d.allocations.find(address);
  if (found == d.allocations.end() || found->second.opened == 0) return CUDA_ERROR_INVALID_VALUE;
  if (--found->second.opened > 0) return CUDA_SUCCESS;
  const std::shared_ptr<Block> block = found->second.block;
  d.allocations.erase(found);
  drop(d, block);
  return CUDA_SUCCESS;
}
