// SPDX-License-Identifier: BSD-3-Clause
/// Memory of the benchmarks' buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "benchmarks/common/options.hpp"

namespace mpix::bench {

/// Owns at least one byte, page-aligned (malloc) or from MPIX_Layout_mem_alloc (alloc), all pages touched.
class Buffer {
 public:
  Buffer(std::int64_t bytes, Memory memory);
  std::byte* data() const { return data_.get(); }
  std::int64_t size() const { return size_; }

 private:
  struct Free {
    Memory memory;
    void operator()(std::byte* base) const noexcept;
  };
  std::int64_t size_;
  std::unique_ptr<std::byte, Free> data_;
};

}  // namespace mpix::bench
