// SPDX-License-Identifier: BSD-3-Clause
#include "api/ending.hpp"

#include "api/process.hpp"

namespace mpix::api {
namespace {

using Communicators = std::vector<std::shared_ptr<Communicator>>;

/// Barriers over all communicators that use the network, at once, because ranks may list them in another
/// order.
class Barriers {
 public:
  explicit Barriers(const Communicators& communicators) {
    for (const auto& communicator : communicators)
      if (communicator->uses_network()) comms_.push_back(communicator->own_comm());
  }
  /// Enters them at the first call; true once all ranks have, or MPI fails.
  bool passed() noexcept {
    if (requests_.size() < comms_.size()) enter();
    int done = 0;
    const int code =
        MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &done, MPI_STATUSES_IGNORE);
    warn_mpi(code, "MPI_Testall");
    return done != 0 || code != MPI_SUCCESS;
  }

 private:
  void enter() noexcept {
    for (const MPI_Comm comm : comms_)
      warn_mpi(MPI_Ibarrier(comm, &requests_.emplace_back(MPI_REQUEST_NULL)), "MPI_Ibarrier");
  }
  std::vector<MPI_Comm> comms_;
  std::vector<MPI_Request> requests_;
};

/// The network goes on meanwhile: peers may still need its answers.
void wait_for_all(const Communicators& communicators) noexcept {
  Barriers barriers(communicators);
  transport::ucx::UcxWorker* const worker = Process::get().made_network();
  bool happened = false;
  while (!barriers.passed())
    if (worker != nullptr && !worker->progress(happened).ok()) return;
}

}  // namespace

void end_communicators(const Communicators& communicators, bool last) noexcept {
  for (const auto& communicator : communicators) {
    communicator->complete_all();
    communicator->flush_network();
  }
  wait_for_all(communicators);
  Barriers closed(communicators);
  for (const auto& communicator : communicators) communicator->close_transports();
  transport::ucx::UcxWorker* const worker = Process::get().made_network();
  if (last && worker != nullptr) {
    worker->close_endpoints([&] { return closed.passed(); });
    Process::get().drop_network();
  }
  for (const auto& communicator : communicators) communicator->close();
}

}  // namespace mpix::api
