// SPDX-License-Identifier: BSD-3-Clause
// Memory of GPUs of other processes: their files, mapped here as well.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "emulator.hpp"

namespace emulated {
namespace {

/// Names an allocation.
struct Handle {
  std::int32_t pid, fd;
  std::uint64_t inode, block_bytes, offset, bytes, buffer;
  std::int32_t slot, ordinal;
};
static_assert(sizeof(Handle) <= sizeof(CUipcMemHandle));

/// The block behind a handle on the current GPU, mapped here already or from now on; null where it is not
/// there any more.
std::shared_ptr<Block> import_block(const Handle& handle) {
  auto& blocks = driver().blocks;
  for (const auto& block : blocks)
    if (block->imported && block->inode == handle.inode && block->buffer == handle.buffer &&
        block->ordinal == current()->ordinal)
      return block;
  auto block = std::make_shared<Block>();
  block->ordinal = current()->ordinal;
  block->imported = true;
  block->inode = handle.inode;
  block->buffer = handle.buffer;
  block->bytes = handle.block_bytes;
  const std::string path = "/proc/" + std::to_string(handle.pid) + "/fd/" + std::to_string(handle.fd);
  block->fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  struct stat info {};
  if (block->fd < 0 || ::fstat(block->fd, &info) != 0 || info.st_ino != handle.inode ||
      info.st_size != static_cast<off_t>(Block::kHeader + handle.block_bytes) || !block->map())
    return nullptr;
  blocks.push_back(block);
  return block;
}

/// With the mutex held.
CUresult open_handle(const Handle& handle, CUdeviceptr* result) {
  const std::shared_ptr<Block> block = import_block(handle);
  if (block == nullptr) return CUDA_ERROR_MAP_FAILED;
  Allocation made;
  made.address = block->place + handle.offset;
  made.slot = static_cast<std::size_t>(handle.slot);
  const auto known = driver().allocations.find(made.address);
  if (known != driver().allocations.end()) {
    if (known->second.context != current()) return CUDA_ERROR_INVALID_CONTEXT;
    ++known->second.opened;
  } else {
    ++block->uses;
    if (block->slot(made.slot) != handle.buffer) {  // freed in the meantime
      drop(block);
      return CUDA_ERROR_INVALID_VALUE;
    }
    made.ordinal = current()->ordinal;
    made.bytes = handle.bytes;
    made.buffer = driver().next_buffer++;
    made.context = current();
    made.block = block;
    made.opened = 1;
    driver().allocations[made.address] = made;
  }
  *result = made.address;
  return CUDA_SUCCESS;
}

}  // namespace
}  // namespace emulated

using namespace emulated;

EMULATED CUresult CUDAAPI cuIpcGetMemHandle(CUipcMemHandle* result, CUdeviceptr address) {
  EMULATED_CONTEXT_CALL(cuIpcGetMemHandle, CUDA_ERROR_NOT_SUPPORTED);
  const std::lock_guard guard(driver().mutex);
  const Allocation* const found = driver().find(address);
  if (found == nullptr || found->kind != Kind::device || found->pool || found->opened > 0)
    return CUDA_ERROR_INVALID_VALUE;
  const Block& block = *found->block;
  const Handle handle{::getpid(),
                      block.fd,
                      block.inode,
                      block.bytes,
                      found->address - block.place,
                      found->bytes,
                      found->buffer,
                      static_cast<std::int32_t>(found->slot),
                      found->ordinal};
  std::memset(result, 0, sizeof *result);
  std::memcpy(result, &handle, sizeof handle);
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuIpcOpenMemHandle(CUdeviceptr* result, CUipcMemHandle raw, unsigned int flags) {
  EMULATED_CONTEXT_CALL(cuIpcOpenMemHandle, CUDA_ERROR_UNKNOWN);
  Handle handle;
  std::memcpy(&handle, &raw, sizeof handle);
  if (flags != CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS) return CUDA_ERROR_INVALID_VALUE;
  if (handle.pid == ::getpid()) return CUDA_ERROR_INVALID_CONTEXT;
  if (handle.ordinal != current()->ordinal && !peers_allowed()) return CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
  const std::lock_guard guard(driver().mutex);
  return open_handle(handle, result);
}

EMULATED CUresult CUDAAPI cuIpcCloseMemHandle(CUdeviceptr address) {
  EMULATED_WAITING_CALL(cuIpcCloseMemHandle, CUDA_ERROR_UNKNOWN);
  const std::lock_guard guard(driver().mutex);
  const auto found = driver().allocations.find(address);
  if (found == driver().allocations.end() || found->second.opened == 0) return CUDA_ERROR_INVALID_VALUE;
  return --found->second.opened > 0 ? CUDA_SUCCESS : release(address);
}

// Events of other processes are left to real drivers.
EMULATED CUresult CUDAAPI cuIpcGetEventHandle(CUipcEventHandle*, CUevent) {
  EMULATED_CONTEXT_CALL(cuIpcGetEventHandle, CUDA_ERROR_NOT_SUPPORTED);
  return CUDA_ERROR_NOT_SUPPORTED;
}
EMULATED CUresult CUDAAPI cuIpcOpenEventHandle(CUevent*, CUipcEventHandle) {
  EMULATED_CONTEXT_CALL(cuIpcOpenEventHandle, CUDA_ERROR_NOT_SUPPORTED);
  return CUDA_ERROR_NOT_SUPPORTED;
}
