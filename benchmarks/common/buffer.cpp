// SPDX-License-Identifier: BSD-3-Clause
#include "benchmarks/common/buffer.hpp"

#include <mpix_layout.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "benchmarks/common/check.hpp"
#include "benchmarks/gpu/gpu.hpp"

namespace mpix::bench {
namespace {

std::byte* allocate(std::int64_t bytes, Memory memory) {
  void* base = nullptr;
  if (memory == Memory::cuda) return gpu::allocate(bytes);
  if (memory == Memory::alloc) {
    check(MPIX_Layout_mem_alloc(static_cast<MPI_Aint>(bytes), MPI_INFO_NULL, &base), "MPIX_Layout_mem_alloc");
    return static_cast<std::byte*>(base);
  }
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  if (posix_memalign(&base, page, static_cast<std::size_t>(bytes)) != 0) {
    throw Error("posix_memalign: no memory for " + std::to_string(bytes) + " bytes");
  }
  return static_cast<std::byte*>(base);
}

}  // namespace

Buffer::Buffer(std::int64_t bytes, Memory memory)
    : size_(std::max<std::int64_t>(bytes, 1)), data_(allocate(size_, memory), Free{memory}) {
  if (memory == Memory::cuda) copy_ = std::make_unique<std::byte[]>(static_cast<std::size_t>(size_));
  std::memset(host(), 0x5a, static_cast<std::size_t>(size_));
  store();
}

void Buffer::fetch() const {
  if (copy_ != nullptr) gpu::download(copy_.get(), data_.get(), size_);
}

void Buffer::store() const {
  if (copy_ != nullptr) gpu::upload(data_.get(), copy_.get(), size_);
}

void Buffer::Free::operator()(std::byte* base) const noexcept {
  if (memory == Memory::cuda) {
    gpu::release(base);
  } else if (memory == Memory::alloc) {
    check_noexcept(MPIX_Layout_mem_free(base), "MPIX_Layout_mem_free");
  } else {
    std::free(base);
  }
}

}  // namespace mpix::bench
