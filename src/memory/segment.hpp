// SPDX-License-Identifier: BSD-3-Clause
/// Memory that other processes of the node can map. Segments have no name in any file system (memfd), so
/// nothing can be left behind, however a process ends; a peer opens one through /proc/PID/fd/FD.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>

#include "handle/os.hpp"

namespace mpix::memory {

/// Enough for another process of the node to map a segment, and to notice if it is another one by now.
struct SegmentName {
  std::int32_t pid = 0;
  std::int32_t fd = -1;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t bytes = 0;

  friend bool operator==(const SegmentName&, const SegmentName&) = default;
};

/// A segment of this process.
class Segment {
 public:
  /// `bytes` > 0 of zeroed memory at a multiple of `alignment`; physical memory is taken as it is touched.
  /// Throws Error (no_memory).
  static Segment create(std::size_t bytes, std::size_t alignment = 64);

  std::byte* data() const noexcept { return mapping_.data(); }
  std::size_t bytes() const noexcept { return mapping_.bytes(); }
  const SegmentName& name() const noexcept { return name_; }
  /// Gives the physical memory back although peers may still have the segment mapped.
  void release_pages() noexcept;

 private:
  Segment(FileDescriptor fd, Mapping mapping, SegmentName name) noexcept
      : fd_(std::move(fd)), mapping_(std::move(mapping)), name_(name) {}
  FileDescriptor fd_;
  Mapping mapping_;
  SegmentName name_;
};

/// Maps a segment of another process of this node. Throws Error (peer) that says why it cannot be mapped.
Mapping map_remote(const SegmentName& name);

/// Mappings of other processes' segments, kept for the next time. Thread-safe.
class MappingCache {
 public:
  /// Mappings kept although nobody uses them; the least recently used go first.
  explicit MappingCache(std::size_t keep = 64) : keep_(keep) {}
  /// The segment's memory, valid as long as the pointer is held. Throws as map_remote does.
  std::shared_ptr<const Mapping> get(const SegmentName& name);

 private:
  struct Entry {
    SegmentName name;
    std::shared_ptr<const Mapping> mapping;
  };
  std::size_t keep_;
  std::mutex mutex_;
  std::list<Entry> entries_;  // most recently used first
};

}  // namespace mpix::memory
