// SPDX-License-Identifier: BSD-3-Clause
#include "memory/segment.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <limits>

#include "base/log.hpp"
#include "base/status.hpp"
#include "base/text.hpp"

namespace mpix::memory {
namespace {

[[noreturn]] void fail_allocation(std::size_t bytes, const char* step) {
  throw Error(Code::no_memory,
              text("cannot allocate ", bytes, " bytes of shared memory: ", step, ": ", errno_text(errno)));
}

}  // namespace

Segment Segment::create(std::size_t bytes, std::size_t alignment) {
  if (bytes > static_cast<std::size_t>(std::numeric_limits<off_t>::max())) {
    errno = ENOMEM;
    fail_allocation(bytes, "size");
  }
  FileDescriptor fd(::memfd_create("mpix-layout", MFD_CLOEXEC));
  if (!fd.valid()) fail_allocation(bytes, "memfd_create");
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) fail_allocation(bytes, "ftruncate");
  Mapping mapping = Mapping::create(fd.get(), bytes, alignment);
  if (!mapping.valid()) fail_allocation(bytes, "mmap");
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) fail_allocation(bytes, "fstat");
  SegmentName name;
  name.pid = ::getpid();
  name.fd = fd.get();
  name.device = info.st_dev;
  name.inode = info.st_ino;
  name.bytes = bytes;
  return Segment(std::move(fd), std::move(mapping), name);
}

void Segment::release_pages() noexcept {
  const auto length = static_cast<off_t>(bytes());
  if (::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, length) != 0)
    log::warn("fallocate: ", errno_text(errno));
}

Mapping map_remote(const SegmentName& name) {
  const std::string path = text("/proc/", name.pid, "/fd/", name.fd);
  const FileDescriptor fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd.valid()) throw Error(Code::peer, text("cannot open shared memory ", path, ": ", errno_text(errno)));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0)
    throw Error(Code::peer, text("cannot stat ", path, ": ", errno_text(errno)));
  if (info.st_dev != name.device || info.st_ino != name.inode)
    throw Error(Code::peer, text(path, " is not the shared memory that process ", name.pid, " announced"));
  Mapping mapping = Mapping::create(fd.get(), name.bytes, 1);
  if (!mapping.valid())
    throw Error(Code::peer, text("cannot map ", name.bytes, " bytes of ", path, ": ", errno_text(errno)));
  return mapping;
}

std::shared_ptr<const Mapping> MappingCache::get(const SegmentName& name) {
  const std::lock_guard guard(mutex_);
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.name == name; });
  if (found != entries_.end()) {
    entries_.splice(entries_.begin(), entries_, found);
    return found->mapping;
  }
  auto mapping = std::make_shared<const Mapping>(map_remote(name));
  entries_.push_front({name, mapping});
  for (auto oldest = entries_.end(); entries_.size() > keep_ && oldest != entries_.begin();) {
    --oldest;
    if (oldest->mapping.use_count() == 1) oldest = entries_.erase(oldest);
  }
  return mapping;
}

}  // namespace mpix::memory
