// SPDX-License-Identifier: BSD-3-Clause
/// What belongs to the process rather than to a communicator: made at the library's first use, taken down
/// when MPI deletes the attributes of MPI_COMM_SELF in MPI_Finalize.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "base/config.hpp"
#include "device/device.hpp"
#include "kernels/host.hpp"
#include "memory/alloc.hpp"
#include "memory/regions.hpp"
#include "memory/segment.hpp"
#include "memory/staging.hpp"
#include "transport/ucx/worker.hpp"

namespace mpix::api {

class Process {
 public:
  /// The process's only one, made on the first call. Throws Error: MPI not initialised, bad configuration.
  static Process& get();

  const Config& config() const noexcept { return config_; }
  const kernels::HostKernels& kernels() const noexcept { return *kernels_; }
  memory::SharedAllocator& allocator() noexcept { return allocator_; }
  const std::shared_ptr<memory::MappingCache>& mappings() noexcept { return mappings_; }
  /// Made on the first call. Throws Error (no_memory).
  const memory::Staging& staging();
  /// The worker for other nodes; made on the first call. Throws Error.
  std::shared_ptr<transport::ucx::UcxWorker> network();
  memory::Regions& regions() noexcept { return regions_; }
  /// The GPUs; null where there are none, or none are to be used.
  device::Gpus* gpus() noexcept { return gpus_.get(); }
  /// Why there are none.
  const std::string& gpus_absent() const noexcept { return gpus_absent_; }
  /// The network devices that it uses; empty: UCX's own choice.
  const std::string& devices() const noexcept { return devices_; }
  /// The worker if it was made, without making it; and its end, when no communicator uses it any more.
  transport::ucx::UcxWorker* made_network() const noexcept { return network_.get(); }
  void drop_network() noexcept { network_.reset(); }
  /// Different at every call, and from other processes' numbers with near certainty.
  std::uint64_t next_number() noexcept { return ++number_; }

  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

 private:
  Process();

  Config config_;
  const kernels::HostKernels* kernels_ = nullptr;
  memory::SharedAllocator allocator_;
  memory::Regions regions_;
  std::unique_ptr<device::Gpus> gpus_;
  std::string gpus_absent_;
  std::shared_ptr<memory::MappingCache> mappings_;
  std::mutex making_;  // of the following
  std::unique_ptr<memory::Staging> staging_;
  memory::Regions::Entry staging_region_;
  std::shared_ptr<transport::ucx::UcxWorker> network_;
  std::string devices_;
  std::atomic<std::uint64_t> number_{0};
};

}  // namespace mpix::api
