// SPDX-License-Identifier: BSD-3-Clause
#include "api/process.hpp"

#include <mpi.h>
#include <unistd.h>

#include <random>

#include "base/status.hpp"
#include "handle/mpi.hpp"
#include "topology/nics.hpp"

namespace mpix::api {
namespace {

void require_mpi() {
  int initialized = 0, finalized = 0;
  if (MPI_Initialized(&initialized) != MPI_SUCCESS || MPI_Finalized(&finalized) != MPI_SUCCESS ||
      initialized == 0 || finalized != 0)
    throw Error(Code::mpi, "mpix-layout can be used only between MPI_Init and MPI_Finalize");
}

}  // namespace

Process& Process::get() {
  static Process process;  // its memory must outlive MPI_Finalize: applications may free theirs later
  return process;
}

Process::Process() : mappings_(std::make_shared<memory::MappingCache>()) {
  require_mpi();
  int rank = 0;
  check_mpi(MPI_Comm_rank(MPI_COMM_WORLD, &rank), "MPI_Comm_rank");
  log::set_rank(rank);
  config_ = read_config(environ);
  log::set_level(config_.log);
  kernels_ = kernels::host_kernels(config_.kernels);
  if (kernels_ == nullptr)
    throw Error(Code::argument,
                text("MPIX_LAYOUT_KERNELS=", config_.kernels, ": this processor does not have them"));
  log::info("host kernels: ", kernels_->name);
  gpus_ = device::find_gpus(config_, regions_, gpus_absent_);
  log::info("GPUs: ", gpus_ != nullptr ? gpus_->description() : gpus_absent_);
  std::random_device random;
  number_ = (static_cast<std::uint64_t>(random()) << 32) | random();
}

const memory::Staging& Process::staging() {
  const std::lock_guard guard(making_);
  if (staging_ == nullptr) {
    staging_ = std::make_unique<memory::Staging>(config_.staging, config_.chunk);
    staging_region_ = regions_.add(staging_->memory());
  }
  return *staging_;
}

std::shared_ptr<transport::ucx::UcxWorker> Process::network() {
  const std::lock_guard guard(making_);
  if (network_ == nullptr) {
    topology::Devices devices = topology::choose_devices(config_.net_devices);
    devices_ = devices.own;
    network_ = std::make_shared<transport::ucx::UcxWorker>(
        config_, transport::ucx::WorkerParts{std::move(devices), &regions_, gpus_.get()});
    log::info("network: ", network_->description(),
              "; devices: ", devices_.empty() ? "UCX's own choice" : devices_);
  }
  return network_;
}

}  // namespace mpix::api
