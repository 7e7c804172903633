// SPDX-License-Identifier: BSD-3-Clause
/// What a GPU does while layouts are made: the calling thread waits for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>

#include "device/cuda/contexts.hpp"
#include "device/cuda/disposal.hpp"
#include "device/device.hpp"

namespace mpix::device::cuda {

/// Thread-safe.
class SetUp {
 public:
  SetUp(Contexts& contexts, std::shared_ptr<Disposal> disposal) noexcept
      : contexts_(contexts), disposal_(std::move(disposal)) {}
  SetUp(const SetUp&) = delete;
  SetUp& operator=(const SetUp&) = delete;

  // These throw Error.

  /// Copies device memory of `context` to the host.
  void read(const CudaContextPointer& context, void* to, const void* from, std::size_t bytes);
  /// Memory of `context` with `count` > 0 indices times `extent`.
  struct Made {
    CudaMemory memory;
    std::int64_t least, most;
    std::uint64_t alignment;
  };
  Made make_offsets(const CudaContextPointer& context, const std::int64_t* indices, std::int64_t count,
                    std::int64_t extent);
  /// What is made here is given back here.
  void dispose(CudaMemory memory) noexcept { disposal_->put(std::move(memory)); }

 private:
  static constexpr std::size_t kPiece = std::size_t{1} << 20;
  /// A stream, kPiece bytes of pinned memory, and some in the device. Kept: making them takes longer than
  /// using them.
  struct Lane {
    CudaStream stream;
    CudaPinned pinned;
    CudaMemory memory;
  };
  Lane& lane(const CudaContextPointer& context);
  void copy_to_host(const CudaDriver& driver, Lane& lane, CUdeviceptr from, std::size_t bytes);

  Contexts& contexts_;
  std::shared_ptr<Disposal> disposal_;
  std::mutex mutex_;
  std::list<Lane> lanes_;
};

}  // namespace mpix::device::cuda
