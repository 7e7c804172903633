// SPDX-License-Identifier: BSD-3-Clause
/// Memory of the benchmarks' buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "benchmarks/common/options.hpp"

namespace mpix::bench {

/// Owns at least one byte, page-aligned (malloc), from MPIX_Layout_mem_alloc (alloc), all pages touched, or
/// in memory of a GPU (cuda).
class Buffer {
 public:
  Buffer(std::int64_t bytes, Memory memory);
  std::byte* data() const { return data_.get(); }
  std::int64_t size() const { return size_; }
  Memory memory() const { return data_.get_deleter().memory; }
  /// What the host can look at: a copy of memory of a GPU, as of the last fetch(); store() writes it back.
  std::byte* host() const { return copy_ != nullptr ? copy_.get() : data_.get(); }
  void fetch() const;
  void store() const;

 private:
  struct Free {
    Memory memory;
    void operator()(std::byte* base) const noexcept;
  };
  std::int64_t size_;
  std::unique_ptr<std::byte, Free> data_;
  std::unique_ptr<std::byte[]> copy_;
};

}  // namespace mpix::bench
