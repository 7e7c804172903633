// SPDX-License-Identifier: BSD-3-Clause
/// The contexts in which this library works, with its kernel loaded where it is needed.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "handle/cuda.hpp"

namespace mpix::device::cuda {

/// See kernels/device.
struct Kernels {
  CUfunction copy = nullptr, offsets = nullptr;
};

/// Thread-safe.
class Contexts {
 public:
  explicit Contexts(std::shared_ptr<const CudaDriver> driver) noexcept : driver_(std::move(driver)) {}

  const CudaDriver& driver() const noexcept { return *driver_; }
  // These throw Error.

  /// The application's context `handle` on `ordinal`; where null, of().
  CudaContextPointer get(CUcontext handle, int ordinal);
  /// The context of that number, which has to live.
  CudaContextPointer numbered(std::uint64_t number);
  bool lives(std::uint64_t number) noexcept;
  /// The context that maps memory of other processes on `ordinal`, the same as long as it lives: the primary
  /// one where the application uses that, else of().
  CudaContextPointer importer(int ordinal);
  /// The context on `ordinal` that was used first, or else the primary one.
  CudaContextPointer of(int ordinal);
  /// The context that `stream` of the application belongs to; its current one for a default stream.
  CudaContextPointer of_stream(CUstream stream);
  /// The kernels in `context`, ready to run: launching them loads nothing any more.
  Kernels kernels(const CudaContextPointer& context);

 private:
  struct Entry {
    CudaContextPointer context;
    CudaModule module;
    Kernels kernels;
  };
  /// The entry of a context that lives, others forgotten.
  Entry* find(CUcontext handle);
  CudaContextPointer add(CudaContextPointer context);
  CudaContextPointer first(int ordinal);
  /// Null where none of that number lives.
  CudaContextPointer living(std::uint64_t number) const noexcept;

  std::shared_ptr<const CudaDriver> driver_;
  std::mutex mutex_;  // of the following; functions that are private are called with it
  std::vector<Entry> entries_;
  std::map<int, CudaContextPointer> importers_;
};

}  // namespace mpix::device::cuda
