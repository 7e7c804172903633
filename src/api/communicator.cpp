// SPDX-License-Identifier: BSD-3-Clause
#include "api/communicator.hpp"

#include "api/agree.hpp"
#include "api/process.hpp"
#include "api/progress.hpp"
#include "api/request.hpp"

namespace mpix::api {
namespace {

/// A communicator of the same ranks without the attributes of `comm`, whose copy functions are not ours to
/// call.
CommOwner same_ranks(MPI_Comm comm) {
  MPI_Group group = MPI_GROUP_NULL;
  check_mpi(MPI_Comm_group(comm, &group), "MPI_Comm_group");
  MPI_Comm made = MPI_COMM_NULL;
  const int code = MPI_Comm_create(comm, group, &made);
  warn_mpi(MPI_Group_free(&group), "MPI_Group_free");
  check_mpi(code, "MPI_Comm_create");
  CommOwner owner(made);
  check_mpi(MPI_Comm_set_errhandler(made, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  return owner;
}

engine::Context make_context(int rank) {
  Process& process = Process::get();
  engine::Context context;
  context.rank = rank;
  context.kernels = &process.kernels();
  context.allocator = &process.allocator();
  context.mappings = process.mappings().get();
  context.gpus = process.gpus();
  return context;
}

std::unique_ptr<engine::Relay> make_relay(int rank, Routes& routes) {
  if (routes.packet_network == nullptr) return nullptr;
  return std::make_unique<engine::Relay>(
      engine::RelayParts{std::move(routes.nodes), rank, std::move(routes.board), routes.packet_network.get(),
                         routes.packet_node.get(), Process::get().devices(), routes.devices_differ,
                         routes.forced, &Process::get().kernels()});
}

}  // namespace

Communicator::Communicator(MPI_Comm comm) : comm_(comm), own_comm_(same_ranks(comm)) {
  check_mpi(MPI_Comm_rank(own_comm(), &rank_), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(own_comm(), &size_), "MPI_Comm_size");
  Config config = Process::get().config();
  checks_sizes_ = any_agrees(own_comm(), config.check == Check::full);
  const topology::Node node = topology::discover(own_comm());
  if (node.oversubscribed) config.spin = 0;
  routes_ = make_routes(own_comm(), node);
  if (rank_ == 0)
    log::info("communicator of ", size_, " ranks, ", node.ranks.size(), " on this node",
              node.oversubscribed ? ", more than there are cores: waiting yields" : "", "; shared memory ",
              routes_.shared_memory ? "used" : "not used", ", network ",
              routes_.network ? "used" : "not used");
  engine::Surroundings surroundings;
  surroundings.route = [this](int peer) -> transport::Transport& { return routes_.to(peer); };
  if (routes_.network != nullptr) surroundings.progressing.push_back(routes_.network.get());
  surroundings.idle = &progress::idle;
  engine_ = std::make_unique<engine::Engine>(make_context(rank_), std::move(config), std::move(surroundings),
                                             make_relay(rank_, routes_));
}

void Communicator::progress(std::vector<Request*>& completed) noexcept {
  if (!engine_->lock().try_lock()) return;
  if (!requests_.empty()) {
    if (!engine_->progress()) engine_->check_stalled();
    std::erase_if(requests_, [&](Request* request) {
      if (!request->collect()) return false;
      completed.push_back(request);
      return true;
    });
  }
  engine_->lock().unlock();
}

void Communicator::progress_alone() noexcept {
  if (!engine_->lock().try_lock()) return;
  if (!requests_.empty() && !engine_->progress()) engine_->check_stalled();
  engine_->lock().unlock();
}

void Communicator::complete_all() noexcept {
  Backoff backoff(0);
  for (;;) {  // ends at the latest when the exchanges time out
    progress::run();
    {
      const std::lock_guard guard(engine_->lock());
      if (requests_.empty()) break;
    }
    backoff.pause();
  }
  progress::withdraw(*this);
}

void Communicator::close_transports() noexcept {
  const std::lock_guard guard(engine_->lock());
  comm_ = MPI_COMM_NULL;
  routes_.packet_network.reset();
  routes_.packet_node.reset();
  routes_.network.reset();
  routes_.shared_memory.reset();
}

void Communicator::close() noexcept {
  own_comm_ = CommOwner();
}

void Communicator::flush_network() noexcept {
  if (routes_.network != nullptr) routes_.network->flush();
  if (routes_.packet_network != nullptr) routes_.packet_network->flush();
}

}  // namespace mpix::api
