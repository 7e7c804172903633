// SPDX-License-Identifier: BSD-3-Clause
#include "api/request.hpp"

#include <sched.h>

#include <algorithm>

#include "api/errors.hpp"
#include "api/progress.hpp"
#include "handle/mpi.hpp"

namespace mpix::api {

Request& Request::create(std::unique_ptr<Request> self, MPI_Request* request) {
  check_mpi(self->start(request), "MPI_Grequest_start");
  self->request_ = *request;
  return *self.release();
}

int Request::start(MPI_Request* request) noexcept {
#ifdef HAVE_MPIX_GREQUEST_START
  // Also where a thread makes the progress: MPICH 4.0's MPI_Waitall takes no generalised request without a
  // wait function.
  if (progress::way() != progress::Way::hook)
    return MPIX_Grequest_start(&query, &free, &cancel, &poll, &wait, this, request);
#endif
  return MPI_Grequest_start(&query, &free, &cancel, this, request);
}

bool Request::collect() noexcept {
  if (exchange_ == nullptr || !exchange_->done()) return false;
  error_ = exchange_->error();
  if (plan_ != nullptr) plan_->count_completion(communicator_->engine().traffic_of(*exchange_));
  communicator_->engine().finish(exchange_);
  exchange_ = nullptr;
  return true;
}

void Request::complete() noexcept {
  // Some MPIs call free() as soon as the application frees an active request, others only now.
  const bool freed = freed_.load(std::memory_order_acquire);
  const MPI_Request request = request_;
  completed_.store(true, std::memory_order_release);
  warn_mpi(MPI_Grequest_complete(request), "MPI_Grequest_complete");
  if (freed) const std::unique_ptr<Request> owner(this);
}

int Request::query(void* state, MPI_Status* status) {
  const Request& self = *static_cast<Request*>(state);
  status->MPI_SOURCE = MPI_UNDEFINED;
  status->MPI_TAG = MPI_UNDEFINED;
  warn_mpi(MPI_Status_set_elements_x(status, MPI_BYTE, self.recv_bytes_), "MPI_Status_set_elements_x");
  warn_mpi(MPI_Status_set_cancelled(status, 0), "MPI_Status_set_cancelled");
  if (self.error_.ok()) return MPI_SUCCESS;
  return status->MPI_ERROR = report(self.communicator_->comm(), self.error_);
}

int Request::free(void* state) {
  auto* const self = static_cast<Request*>(state);
  self->freed_.store(true, std::memory_order_release);
  if (self->completed_.load(std::memory_order_acquire)) const std::unique_ptr<Request> owner(self);
  return MPI_SUCCESS;
}

int Request::cancel(void*, int) {
  return MPI_SUCCESS;  // exchanges cannot be cancelled, as MPI's collective operations cannot
}

int Request::poll(void* state, MPI_Status*) {
  const Request& self = *static_cast<Request*>(state);
  const bool oversubscribed = self.communicator_->engine().config().spin == 0;
  // MPICH waits without yielding, which keeps the peers from running where ranks outnumber cores.
  if (progress::run() == 0 && oversubscribed) sched_yield();
  return MPI_SUCCESS;
}

int Request::wait(int count, void** states, double, MPI_Status*) {
  Backoff backoff(0);
  const auto completed = [](void* state) { return static_cast<Request*>(state)->completed_.load(); };
  while (!std::all_of(states, states + count, completed))
    if (progress::run() == 0) backoff.pause();
  return MPI_SUCCESS;
}

namespace {

/// A short exchange whose peers are there already is over after a few looks, sooner than a request is made.
/// One that has `begun` to be exchanged at once has had them.
constexpr int kShortPolls = 40;
constexpr std::int64_t kShortBytes = 4096;

bool finishes_at_once(engine::Engine& engine, const engine::Exchange& exchange, bool begun) noexcept {
  const plan::Plan& plan = exchange.plan().plan;
  const bool is_short = !begun && plan.send_bytes <= kShortBytes && plan.recv_bytes <= kShortBytes;
  for (int polls = is_short ? kShortPolls : 1; polls > 0 && !exchange.done(); --polls)
    if (!engine.progress() && is_short) cpu_relax();
  return exchange.done();
}

/// Makes the request of a started exchange. Where that fails the exchange is first brought to its end,
/// because the peers count on it.
void make_request(const std::shared_ptr<Communicator>& communicator, engine::Exchange* exchange,
                  const std::shared_ptr<PlanState>& plan, std::int64_t recv_bytes, MPI_Request* request) {
  try {
    auto made = std::make_unique<Request>(communicator, plan, exchange, recv_bytes);
    communicator->add(&Request::create(std::move(made), request));
  } catch (...) {
    communicator->engine().wait(*exchange);
    communicator->engine().finish(exchange);
    throw;
  }
}

void receive_nothing(MPI_Comm comm, MPI_Request* request) {
  check_mpi(MPI_Irecv(nullptr, 0, MPI_BYTE, MPI_PROC_NULL, 0, comm, request), "MPI_Irecv");
}

/// Open MPI has one request, not counted, for everything that is complete from the start. Null elsewhere.
MPI_Request common_request([[maybe_unused]] MPI_Comm comm) {
#ifdef OPEN_MPI
  MPI_Request one = MPI_REQUEST_NULL, two = MPI_REQUEST_NULL;
  receive_nothing(comm, &one);
  receive_nothing(comm, &two);
  const MPI_Request common = one == two ? one : MPI_REQUEST_NULL;
  check_mpi(MPI_Wait(&one, MPI_STATUS_IGNORE), "MPI_Wait");
  check_mpi(MPI_Wait(&two, MPI_STATUS_IGNORE), "MPI_Wait");
  return common;
#else
  return MPI_REQUEST_NULL;
#endif
}

/// A request that is complete already; cheaper than a generalised one.
void make_complete_request(MPI_Comm comm, MPI_Request* request) {
  static const MPI_Request common = common_request(comm);
  *request = common;
  if (common == MPI_REQUEST_NULL) receive_nothing(comm, request);
}

}  // namespace

void start_request(const std::shared_ptr<Communicator>& communicator,
                   std::shared_ptr<const engine::BoundPlan> bound, const engine::PlanLayouts& layouts,
                   const std::shared_ptr<PlanState>& plan, const void* sendbuf, void* recvbuf,
                   MPI_Request* request, const engine::Order& order) {
  engine::Engine& engine = communicator->engine();
  {
    const std::lock_guard guard(engine.lock());
    const std::int64_t recv_bytes = bound->plan.recv_bytes;
    engine::Traffic traffic;
    if (!order && engine.exchange_at_once(*bound, sendbuf, recvbuf, traffic)) {
      if (plan != nullptr) {
        ++plan->starts;
        plan->count_completion(traffic);
      }
      make_complete_request(communicator->own_comm(), request);
      return;
    }
    const bool begun = engine.begun();
    engine::Exchange* const exchange = engine.start(std::move(bound), {}, sendbuf, recvbuf, order);
    if (plan != nullptr) ++plan->starts;
    if (finishes_at_once(engine, *exchange, begun) && exchange->error().ok()) {
      if (plan != nullptr) plan->count_completion(engine.traffic_of(*exchange));
      engine.finish(exchange);
      make_complete_request(communicator->own_comm(), request);
      return;
    }
    exchange->keep(layouts);
    make_request(communicator, exchange, plan, recv_bytes, request);
  }
  progress::enlist(*communicator);
  progress::run();
}

}  // namespace mpix::api
