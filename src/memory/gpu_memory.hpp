// SPDX-License-Identifier: BSD-3-Clause
/// Memory of GPUs for staging, for those who know nothing else of GPUs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace mpix::memory {

/// Thread-safe.
class GpuMemory {
 public:
  virtual ~GpuMemory() = default;
  /// `bytes` bytes for the GPU of that number (device::Queue::number()), as long as the result lives. Throws
  /// Error.
  virtual std::shared_ptr<std::byte> allocate(std::uint64_t gpu, std::size_t bytes) = 0;
  /// Whether a stream of the application waits for this library: what sets something up may then wait for
  /// that stream.
  virtual bool held() const noexcept { return false; }
  /// Whether that memory can still be used: it goes with the context that it belongs to.
  virtual bool lives(std::uint64_t gpu) noexcept = 0;
  /// Copies from that GPU's memory; complete on return. Throws Error.
  virtual void copy_to_host(std::uint64_t gpu, std::byte* to, const std::byte* from, std::size_t bytes) = 0;
  /// Whether it is CUDA's; tests do with the host's.
  virtual bool is_cuda() const noexcept { return true; }
};

}  // namespace mpix::memory
