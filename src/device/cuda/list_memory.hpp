// SPDX-License-Identifier: BSD-3-Clause
/// Device memory for lists. To allocate and to free it waits for the device, and every allocation is one more
/// that peers have to map: so pieces of few allocations are handed out, which are kept to the end.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <mutex>

#include "device/cuda/disposal.hpp"
#include "handle/cuda.hpp"

namespace mpix::device::cuda {

/// Thread-safe. Outlives what it hands out.
class ListMemory {
 public:
  /// Memory that is given back when this goes; nothing uses it any more by then.
  class Piece {
   public:
    virtual ~Piece() = default;
    virtual std::byte* data() const noexcept = 0;
  };

  explicit ListMemory(std::shared_ptr<Disposal> disposal) noexcept : disposal_(std::move(disposal)) {}
  ListMemory(const ListMemory&) = delete;
  ListMemory& operator=(const ListMemory&) = delete;

  /// `bytes` > 0 bytes in `context`, aligned to kAlignment. Throws Error.
  std::shared_ptr<const Piece> take(const CudaContextPointer& context, std::size_t bytes);

  static constexpr std::size_t kAlignment = 256;
  /// An allocation for pieces of up to half of it; longer ones have allocations of their own.
  static constexpr std::size_t kSlab = std::size_t{8} << 20;

 private:
  struct Slab {
    CudaMemory memory;
    std::map<std::size_t, std::size_t> free;  ///< lengths, by offset; no two touch each other
  };
  class Part;
  class Whole;
  std::shared_ptr<const Piece> part_of(Slab& slab, std::size_t bytes);
  void give(Slab& slab, std::size_t offset, std::size_t bytes) noexcept;

  std::shared_ptr<Disposal> disposal_;
  std::mutex mutex_;
  std::list<Slab> slabs_;
};

}  // namespace mpix::device::cuda
