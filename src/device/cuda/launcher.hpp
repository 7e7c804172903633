// SPDX-License-Identifier: BSD-3-Clause
/// Launches of the copy kernel in one stream, numbered from 1.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "device/device.hpp"
#include "handle/cuda.hpp"
#include "kernels/device/job.hpp"

namespace mpix::device::cuda {

/// What is copied to the GPU before a launch reads it there; pinned until it is done.
struct Handed {
  CUdeviceptr to;
  const std::byte* from;
  std::size_t bytes;
};

/// A list in device memory, and where it goes.
struct ListCopy {
  const std::int64_t* from;
  std::size_t to, bytes;
};

/// Not thread-safe. Errors come back as the driver gave them; after one, nothing more is to be launched.
class Launcher {
 public:
  using Job = kernels::device::Job;
  /// Jobs of a launch.
  static constexpr std::size_t kMaxJobs = 512;

  /// `function` is the kernel in `context`. Throws Error.
  Launcher(const CudaContextPointer& context, CUfunction function);

  /// Whether `jobs` jobs can be launched now; if not, they can after more launches are done.
  bool room(std::size_t jobs) const noexcept;
  /// Does `jobs`, at most kMaxJobs, after all earlier launches and after the copies of `handed`; there is
  /// room.
  CUresult launch(std::span<const Job> jobs, std::span<const Handed> handed) noexcept;
  /// Copies `from`, which stays as it is until done, to device memory at `to`, and `lists` behind it: counts
  /// as one launch.
  CUresult upload(CUdeviceptr to, std::span<const std::byte> from, std::span<const ListCopy> lists) noexcept;
  /// Looks for launches that are done.
  CUresult poll() noexcept;
  /// Waits for all launches.
  CUresult synchronize() noexcept;

  /// Number of the last launch, and of the last one that poll() found done.
  Ticket launched() const noexcept { return launched_; }
  Ticket done() const noexcept { return done_; }

 private:
  /// Launches whose end can be awaited at a time.
  static constexpr std::size_t kInFlight = 64;
  /// Jobs that do not travel with a launch lie here until it is done.
  struct Table {
    CudaPinned memory;
    Ticket user = 0;
  };
  static constexpr std::size_t kTables = 4;
  /// Consecutive jobs whose tiles one grid can have.
  struct Range {
    std::size_t begin, end;
    std::int64_t tiles;
  };

  void cut(std::span<const Job> jobs, std::int64_t* first_tile) noexcept;
  CUresult launch_inline(std::span<const Job> jobs) noexcept;
  CUresult launch_table(std::span<const Job> jobs, Table& table) noexcept;
  CUresult run(kernels::device::Batch& batch, std::int64_t tiles) noexcept;
  CUresult record() noexcept;

  CudaContextPointer context_;
  CUfunction function_;
  CudaStream stream_;
  std::array<CudaEvent, kInFlight> events_;
  std::array<Table, kTables> tables_;
  CudaMemory device_table_;  // one is enough: the stream keeps uploads and kernels in order
  std::vector<Range> ranges_;
  Ticket launched_ = 0;
  Ticket done_ = 0;
};

}  // namespace mpix::device::cuda
