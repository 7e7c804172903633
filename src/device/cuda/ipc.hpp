// SPDX-License-Identifier: BSD-3-Clause
/// Device memory of one process in another.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "device/cuda/contexts.hpp"
#include "device/cuda/disposal.hpp"
#include "device/cuda/known.hpp"
#include "device/device.hpp"

namespace mpix::device::cuda {

/// Memory of this process for others. Thread-safe.
class Exports {
 public:
  Exports(Contexts& contexts, KnownMemory& memory) noexcept : contexts_(contexts), memory_(memory) {}
  std::optional<IpcPlace> place(const void* address) noexcept;

 private:
  /// The allocation, with offset 0; none where it cannot be exported.
  std::optional<IpcPlace> export_allocation(const Known& known, const void* address);

  Contexts& contexts_;
  KnownMemory& memory_;
  std::mutex mutex_;
  std::map<std::uint64_t, std::optional<IpcPlace>> by_buffer_;
};

/// Memory of other processes. Thread-safe.
class Imports {
 public:
  Imports(Contexts& contexts, Exports& exports, std::shared_ptr<Disposal> disposal) noexcept
      : contexts_(contexts), exports_(exports), disposal_(std::move(disposal)) {}
  /// Throws Error (peer).
  std::shared_ptr<const Imported> get(std::uint64_t number, const IpcPlace& place);

 private:
  class Mapping;
  struct Entry {
    std::uint64_t number = 0;
    IpcPlace place;
    std::shared_ptr<const Mapping> mapping;
  };
  std::shared_ptr<const Mapping> open(std::uint64_t number, const IpcPlace& place);
  void drop_stale(std::uint64_t number, const IpcPlace& place);
  void drop_unused(std::size_t keep);

  Contexts& contexts_;
  Exports& exports_;
  std::shared_ptr<Disposal> disposal_;
  std::mutex mutex_;
  std::list<Entry> entries_;  // most recently used first
};

}  // namespace mpix::device::cuda
