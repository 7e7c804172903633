// SPDX-License-Identifier: BSD-3-Clause
#include "handle/os.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "base/log.hpp"
#include "base/status.hpp"

namespace mpix {
namespace {

void unmap(std::byte* data, std::size_t bytes) noexcept {
  if (bytes > 0 && ::munmap(data, bytes) != 0) log::warn("munmap: ", errno_text(errno));
}

std::size_t page_size() noexcept {
  return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0 && ::close(fd_) != 0) log::warn("close: ", errno_text(errno));
}

Mapping Mapping::create(int fd, std::size_t bytes, std::size_t alignment) noexcept {
  const int access = PROT_READ | PROT_WRITE;
  if (alignment <= page_size()) {
    void* const data = ::mmap(nullptr, bytes, access, MAP_SHARED, fd, 0);
    return data == MAP_FAILED ? Mapping() : Mapping(static_cast<std::byte*>(data), bytes);
  }
  if (bytes > SIZE_MAX - alignment) {
    errno = ENOMEM;
    return {};
  }
  // Reserve enough addresses to find an aligned start, map over it, and give back the rest.
  const std::size_t reserved = (bytes + alignment + page_size() - 1) & ~(page_size() - 1);
  void* const reservation =
      ::mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reservation == MAP_FAILED) return {};
  auto* const begin = static_cast<std::byte*>(reservation);
  const std::size_t skip = (alignment - reinterpret_cast<std::uintptr_t>(begin) % alignment) % alignment;
  if (::mmap(begin + skip, bytes, access, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
    const int error = errno;
    unmap(begin, reserved);
    errno = error;
    return {};
  }
  const std::size_t end = (skip + bytes + page_size() - 1) & ~(page_size() - 1);
  unmap(begin, skip);
  unmap(begin + end, reserved - end);
  return Mapping(begin + skip, bytes);
}

Mapping::~Mapping() {
  unmap(data_, bytes_);
}

}  // namespace mpix
