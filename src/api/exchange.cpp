// SPDX-License-Identifier: BSD-3-Clause
/// MPIX_Alltoallv_layout and MPIX_Ialltoallv_layout.
#include "api/errors.hpp"
#include "api/exchange_checks.hpp"
#include "api/handles.hpp"
#include "api/progress.hpp"
#include "api/request.hpp"

using mpix::LayoutRef;
using mpix::Status;
using namespace mpix::api;
namespace engine = mpix::engine;

namespace {

/// A call's arguments, looked up and checked.
struct Call {
  const std::shared_ptr<Communicator>& communicator;
  const LayoutRef& recv;
  bool in_place;
  const LayoutRef& send;

  Call(const void* sendbuf, MPIX_Layout sendlayout, void* recvbuf, MPIX_Layout recvlayout, MPI_Comm comm)
      : communicator(Communicator::get(comm)),
        recv(layout_of(recvlayout, "recvlayout")),
        in_place(sendbuf == MPI_IN_PLACE),
        send(in_place ? recv : layout_of(sendlayout, "sendlayout")) {
    check_peers(*communicator, *send, "sendlayout");
    check_peers(*communicator, *recv, "recvlayout");
    if (!in_place) check_buffer(sendbuf, *send, "sendbuf");
    check_buffer(recvbuf, *recv, "recvbuf");
    if (communicator->checks_sizes()) check_fully(*communicator, *send, *recv);
  }
};

}  // namespace

int MPIX_Alltoallv_layout(const void* sendbuf, MPIX_Layout sendlayout, void* recvbuf, MPIX_Layout recvlayout,
                          MPI_Comm comm) {
  return guarded(comm, [&]() -> Status {
    const Call call(sendbuf, sendlayout, recvbuf, recvlayout, comm);
    engine::Engine& engine = call.communicator->engine();
    const std::lock_guard guard(engine.lock());
    const std::shared_ptr<const engine::BoundPlan>& bound =
        engine.bind(*call.send, *call.recv, call.in_place);
    engine::Traffic traffic;
    if (engine.exchange_at_once(*bound, sendbuf, recvbuf, traffic)) return {};
    engine::Exchange* const exchange = engine.start(bound, {}, sendbuf, recvbuf);
    engine.wait(*exchange);
    Status status = exchange->error();
    engine.finish(exchange);
    return status;
  });
}

int MPIX_Ialltoallv_layout(const void* sendbuf, MPIX_Layout sendlayout, void* recvbuf, MPIX_Layout recvlayout,
                           MPI_Comm comm, MPI_Request* request) {
  return guarded(comm, [&]() -> Status {
    require(request, "request");
    *request = MPI_REQUEST_NULL;
    const Call call(sendbuf, sendlayout, recvbuf, recvlayout, comm);
    progress::ensure();
    std::shared_ptr<const engine::BoundPlan> bound;
    {
      const std::lock_guard guard(call.communicator->engine().lock());
      bound = call.communicator->engine().bind(*call.send, *call.recv, call.in_place);
    }
    start_request(call.communicator, std::move(bound), {call.send, call.recv}, nullptr, sendbuf, recvbuf,
                  request);
    return {};
  });
}
