// SPDX-License-Identifier: BSD-3-Clause
/// Staging memory of this library, pinned when a GPU is to use it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "device/cuda/disposal.hpp"
#include "device/device.hpp"
#include "handle/cuda.hpp"
#include "memory/regions.hpp"

namespace mpix::device::cuda {

/// Thread-safe.
class Pins {
 public:
  Pins(memory::Regions& regions, std::shared_ptr<Disposal> disposal);
  Pins(const Pins&) = delete;
  Pins& operator=(const Pins&) = delete;
  ~Pins();

  /// Pins all regions that there are, in `context`, unless a stream of the application waits.
  void prepare(const CudaContextPointer& context) noexcept;
  /// Where kernels find [data, data + bytes); null where that is in no region or cannot be pinned, or where a
  /// stream waits and it is not pinned yet. Pins the region on first use, in `context`.
  std::byte* reach(const CudaContextPointer& context, const std::byte* data, std::size_t bytes) noexcept;

 private:
  struct Pin {
    CudaRegistered registered;
    std::byte* start = nullptr;  // where kernels find it; null where pinning failed
  };
  std::byte* pinned(const CudaContextPointer& context, const memory::Regions::Region& region);

  memory::Regions& regions_;
  std::shared_ptr<Disposal> disposal_;
  std::mutex mutex_;
  std::map<std::uint64_t, Pin> pins_;  // by Region::id
};

}  // namespace mpix::device::cuda
