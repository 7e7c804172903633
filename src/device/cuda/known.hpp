// SPDX-License-Identifier: BSD-3-Clause
/// What memory is, asked of the driver and remembered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>

#include "device/device.hpp"
#include "handle/cuda.hpp"

namespace mpix::device::cuda {

/// An allocation.
struct Known {
  Facts facts;
  std::uintptr_t base = 0;
  std::size_t bytes = 0;        ///< 0 where the driver does not tell
  CUcontext context = nullptr;  ///< null where it belongs to none
  bool pool = false;            ///< from a memory pool, which grants access by itself
  bool exportable = false;      ///< by cuIpcGetMemHandle

  bool holds(const void* address, std::size_t length) const noexcept {
    const std::uintptr_t start = reinterpret_cast<std::uintptr_t>(address) - base;
    return start <= bytes && length <= bytes - start;
  }
};

/// Thread-safe.
class KnownMemory {
 public:
  explicit KnownMemory(const CudaDriver& driver) noexcept : driver_(driver) {}
  /// One query of the driver, more only for an allocation that was not seen before. Any failure makes it host
  /// memory: where the driver is not initialised, nothing is a GPU's.
  Known look(const void* address) noexcept;
  /// An allocation by its Facts::buffer; none where it was never seen or is forgotten.
  std::optional<Known> find(std::uint64_t buffer) const noexcept;

 private:
  Known ask(const void* address, std::uint64_t buffer) const noexcept;
  void remember(const Known& known);

  const CudaDriver& driver_;
  mutable std::mutex mutex_;
  std::map<std::uintptr_t, Known> by_base_;
};

}  // namespace mpix::device::cuda
