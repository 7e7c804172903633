// SPDX-License-Identifier: BSD-3-Clause
/// MPI_Requests of exchanges under way: generalised requests, completed by the library's progress.
#pragma once

#include <mpi.h>

#include <atomic>
#include <memory>

#include "api/communicator.hpp"
#include "api/plan_state.hpp"

namespace mpix::api {

class Request {
 public:
  /// For an exchange that was started on `communicator`, from `plan` unless that is null.
  Request(std::shared_ptr<Communicator> communicator, std::shared_ptr<PlanState> plan,
          engine::Exchange* exchange, std::int64_t recv_bytes) noexcept
      : communicator_(std::move(communicator)),
        plan_(std::move(plan)),
        exchange_(exchange),
        recv_bytes_(recv_bytes) {}

  /// Makes the MPI request, which owns `self` from then on; see free(). Throws Error (mpi).
  static Request& create(std::unique_ptr<Request> self, MPI_Request* request);

  /// Takes the exchange's result if it is done; with the engine's lock held.
  bool collect() noexcept;
  /// Tells MPI that the request is complete; without any lock. The object may be gone afterwards.
  void complete() noexcept;

 private:
  static int query(void* state, MPI_Status* status);
  static int free(void* state);
  static int cancel(void* state, int complete);
  static int poll(void* state, MPI_Status* status);
  static int wait(int count, void** states, double timeout, MPI_Status* status);
  int start(MPI_Request* request) noexcept;

  std::shared_ptr<Communicator> communicator_;
  std::shared_ptr<PlanState> plan_;
  engine::Exchange* exchange_;
  std::int64_t recv_bytes_;
  Status error_;
  std::atomic<bool> completed_{false};
  std::atomic<bool> freed_{false};
  MPI_Request request_ = MPI_REQUEST_NULL;
};

/// Starts an exchange of `communicator` and makes `request` for it; `plan` is null for one-shot exchanges. A
/// short exchange may be complete on return. `order`: as of Engine::start. Throws Error (mpi, no_memory), and
/// what `order` throws.
void start_request(const std::shared_ptr<Communicator>& communicator,
                   std::shared_ptr<const engine::BoundPlan> bound, const engine::PlanLayouts& layouts,
                   const std::shared_ptr<PlanState>& plan, const void* sendbuf, void* recvbuf,
                   MPI_Request* request, const engine::Order& order = {});

}  // namespace mpix::api
