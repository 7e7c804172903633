// SPDX-License-Identifier: BSD-3-Clause
/// MPIX_Alltoallv_layout_init and MPIX_Layout_plan_*.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <numeric>
#include <optional>

#include "api/agree.hpp"
#include "api/errors.hpp"
#include "api/exchange_checks.hpp"
#include "api/handles.hpp"
#include "api/info.hpp"
#include "api/on_stream.hpp"
#include "api/progress.hpp"
#include "api/request.hpp"
#include "base/text.hpp"

using mpix::Code;
using mpix::Config;
using mpix::Error;
using mpix::LayoutRef;
using mpix::Status;
using namespace mpix::api;
namespace engine = mpix::engine;
namespace plan_ns = mpix::plan;

namespace {

Config with_info(Config config, MPI_Info info) {
  for_each_info(
      info, [&](const std::string& key, const std::string& value) { mpix::apply_info(config, key, value); });
  return config;
}

/// A plan's two forms while it is made.
struct Binding {
  std::shared_ptr<engine::BoundPlan> bound, in_place;
  std::vector<std::int64_t> passing;  ///< see engine::Engine::passing_through

  /// The local half of planning. `others_forward`: see engine::Engine::bind_to_reuse.
  Binding(engine::Engine& engine, const engine::PlanLayouts& layouts, const Config& config,
          bool others_forward = false) {
    const std::lock_guard guard(engine.lock());
    bound = engine.bind_to_reuse(*layouts.send, *layouts.recv, false, config, others_forward);
    in_place = engine.bind_to_reuse(*layouts.recv, *layouts.recv, true, config);
    passing = engine.passing_through(*bound);
  }
};

/// Runs `body`; its failure on any rank becomes one on all.
template <typename Body>
void together(const Communicator& communicator, Body&& body) {
  Status status;
  try {
    body();
  } catch (...) {
    status = current_exception_status();
  }
  throw_together(communicator.own_comm(), status);
}

std::int64_t send_peers(const plan_ns::Plan& plan) {
  const auto sends = [](const plan_ns::Pair& pair) { return pair.send != nullptr; };
  return std::count_if(plan.pairs.begin(), plan.pairs.end(), sends) + (sends(plan.self) ? 1 : 0);
}

std::int64_t recv_peers(const plan_ns::Plan& plan) {
  const auto receives = [](const plan_ns::Pair& pair) { return pair.recv != nullptr; };
  return std::count_if(plan.pairs.begin(), plan.pairs.end(), receives) + (receives(plan.self) ? 1 : 0);
}

std::int64_t aggregated_nodes(const engine::BoundPlan& bound) {
  const auto aggregated = [](const engine::NodeRoute& route) { return !route.introductions.empty(); };
  return std::count_if(bound.routes.begin(), bound.routes.end(), aggregated);
}

MPIX_Layout_stats stats_of(PlanState& state) {
  const plan_ns::Plan& plan = state.bound->plan;
  MPIX_Layout_stats stats{};
  stats.send_peers = send_peers(plan);
  stats.recv_peers = recv_peers(plan);
  stats.send_bytes = plan.send_bytes;
  stats.recv_bytes = plan.recv_bytes;
  stats.send_blocks = state.layouts.send->runs();
  stats.recv_blocks = state.layouts.recv->runs();
  stats.plan_bytes = plan.memory() + state.layouts.send->memory() + state.layouts.recv->memory();
  stats.plan_seconds = state.seconds;
  const std::lock_guard guard(state.communicator->engine().lock());
  stats.plan_bytes += engine::repeats_memory(*state.bound);
  stats.starts = state.starts;
  stats.completions = state.completions;
  stats.self_bytes = state.traffic.self;
  stats.shm_inline_bytes = state.traffic.inlined;
  stats.shm_ring_bytes = state.traffic.ring;
  stats.shm_mapped_bytes = state.traffic.mapped;
  stats.shm_attach_bytes = state.traffic.attached;
  stats.net_bytes = state.traffic.net;
  stats.chunks = state.traffic.chunks;
  stats.net_saved_bytes = state.traffic.saved;
  stats.forwarded_nodes = static_cast<std::int64_t>(state.bound->routes.size());
  stats.net_given_bytes = state.traffic.given;
  stats.net_helped_bytes = state.traffic.helped;
  stats.net_forwarded_bytes = state.traffic.forwarded;
  stats.gpu_plan_bytes = state.bound->mirrors.memory() + state.bound_in_place->mirrors.memory();
  stats.gpu_launches = state.traffic.launches;
  stats.gpu_imported_bytes = state.traffic.imported;
  stats.gpu_bounced_bytes = state.traffic.bounced;
  stats.aggregated_nodes = aggregated_nodes(*state.bound);
  stats.net_messages = state.traffic.messages;
  stats.net_list_bytes = state.traffic.lists;
  return stats;
}

/// The communicator whose error handler a plan's errors go to.
MPI_Comm comm_of(MPIX_Layout_plan plan) noexcept {
  return plan != MPIX_LAYOUT_PLAN_NULL && plan->alive.load(std::memory_order_acquire)
             ? plan->state->communicator->comm()
             : MPI_COMM_NULL;
}

/// `order`: empty where the exchange follows no stream.
Status start_plan(MPIX_Layout_plan plan, const void* sendbuf, void* recvbuf, MPI_Request* request,
                  const engine::Order& order) {
  make_error_classes();
  const std::shared_ptr<PlanState>& state = plan_of(plan);
  require(request, "request");
  *request = MPI_REQUEST_NULL;
  const bool in_place = sendbuf == MPI_IN_PLACE;
  if (state->communicator->comm() == MPI_COMM_NULL) return {Code::comm, "the plan's communicator was freed"};
  if (!in_place) check_buffer(sendbuf, *state->layouts.send, "sendbuf");
  check_buffer(recvbuf, *state->layouts.recv, "recvbuf");
  progress::ensure();
  start_request(state->communicator, in_place ? state->bound_in_place : state->bound, state->layouts, state,
                sendbuf, recvbuf, request, order);
  return {};
}

}  // namespace

int MPIX_Alltoallv_layout_init(MPIX_Layout sendlayout, MPIX_Layout recvlayout, MPI_Comm comm, MPI_Info info,
                               MPIX_Layout_plan* plan) {
  return guarded(comm, [&]() -> Status {
    const auto begin = std::chrono::steady_clock::now();
    const std::shared_ptr<Communicator>& communicator = Communicator::get(comm);
    std::shared_ptr<PlanState> state;
    Config config;
    together(*communicator, [&] {
      require(plan, "plan");
      *plan = MPIX_LAYOUT_PLAN_NULL;
      const LayoutRef& send = layout_of(sendlayout, "sendlayout");
      const LayoutRef& recv = layout_of(recvlayout, "recvlayout");
      check_peers(*communicator, *send, "sendlayout");
      check_peers(*communicator, *recv, "recvlayout");
      config = with_info(communicator->engine().config(), info);
      state = std::make_shared<PlanState>();
      state->communicator = communicator;
      state->layouts = {send, recv};
    });
    std::optional<Binding> made;
    engine::Engine& engine = communicator->engine();
    together(*communicator, [&] { made.emplace(engine, state->layouts, config); });
    if (engine.forwards() && any_agrees(communicator->own_comm(), made->bound->forwarding_pays))
      together(*communicator, [&] {
        if (made->bound->held_back) made.emplace(engine, state->layouts, config, true);
      });
    const std::vector<std::int64_t> passing =
        compare_sizes(*communicator, *state->layouts.send, *state->layouts.recv, made->passing);
    if (communicator->checks_sizes()) check_overlaps(*communicator, *state->layouts.recv);
    made->bound->passing = made->in_place->passing =
        std::accumulate(passing.begin(), passing.end(), std::int64_t{0}, engine::add_passing);
    state->bound = std::move(made->bound);
    state->bound_in_place = std::move(made->in_place);
    state->seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    *plan = make_handle(std::move(state));
    return {};
  });
}

int MPIX_Layout_plan_start(MPIX_Layout_plan plan, const void* sendbuf, void* recvbuf, MPI_Request* request) {
  return guarded(comm_of(plan), [&]() -> Status { return start_plan(plan, sendbuf, recvbuf, request, {}); });
}

int MPIX_Layout_plan_start_on_stream(MPIX_Layout_plan plan, const void* sendbuf, void* recvbuf,
                                     void* cuda_stream, MPI_Request* request) {
  return guarded(comm_of(plan), [&]() -> Status {
    return start_plan(plan, sendbuf, recvbuf, request, [=] { return on_stream(cuda_stream); });
  });
}

int MPIX_Layout_plan_free(MPIX_Layout_plan* plan) {
  return guarded([&]() -> Status {
    make_error_classes();
    require(plan, "plan");
    plan_of(*plan);
    free_handle(*plan);
    *plan = MPIX_LAYOUT_PLAN_NULL;
    return {};
  });
}

int MPIX_Layout_plan_get_stats(MPIX_Layout_plan plan, MPIX_Layout_stats* stats) {
  return guarded(comm_of(plan), [&]() -> Status {
    make_error_classes();
    const std::shared_ptr<PlanState>& state = plan_of(plan);
    require(stats, "stats");
    const std::size_t size = stats->size;
    if (size < offsetof(MPIX_Layout_stats, starts))
      return {Code::argument,
              mpix::text("stats->size is ", size, "; set it to sizeof(MPIX_Layout_stats) before the call")};
    MPIX_Layout_stats found = stats_of(*state);
    found.size = size;
    std::memcpy(stats, &found, std::min(size, sizeof found));
    return {};
  });
}
