// SPDX-License-Identifier: BSD-3-Clause
#include "api/routes.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "api/agree.hpp"
#include "api/network.hpp"
#include "api/process.hpp"
#include "transport/shm/transport.hpp"

namespace mpix::api {
namespace {

namespace shm = transport::shm;

/// Every local rank's card; `inbox` is made on the way. Cards of ranks that could not make theirs have rank
/// -1.
std::vector<shm::Card> exchange_cards(const topology::Node& node, std::optional<shm::Inbox>& inbox) {
  shm::Card mine;
  mine.rank = -1;
  try {
    inbox.emplace(node.ranks.size());
    mine.mailboxes = inbox->name();
    mine.staging = Process::get().staging().name();
    mine.attach = memory::attach_probe();
    mine.staging_address = Process::get().staging().address();
    mine.pid = mine.mailboxes.pid;
    mine.rank = node.ranks[node.self];
  } catch (const Error& error) {
    log::warn("no shared memory on this node: ", error.what());
  }
  std::vector<shm::Card> cards(node.ranks.size());
  check_mpi(MPI_Allgather(&mine, sizeof mine, MPI_BYTE, cards.data(), sizeof mine, MPI_BYTE, node.comm.get()),
            "MPI_Allgather");
  return cards;
}

/// Whether this rank can map the memory of its neighbour in the node.
bool neighbour_reachable(const topology::Node& node, const std::vector<shm::Card>& cards) {
  const shm::Card& next = cards[(node.self + 1) % cards.size()];
  if (next.rank < 0) return false;
  try {
    shm::ShmTransport::probe(next);
    return true;
  } catch (const Error& error) {
    log::warn("no shared memory with rank ", next.rank, ": ", error.what());
    return false;
  }
}

/// Collective over the node. Null, on all its ranks, where shared memory does not work there.
std::unique_ptr<transport::Transport> make_shared_memory(const topology::Node& node) {
  Process& process = Process::get();
  if (!all_agree(node.comm.get(), process.config().shm)) return nullptr;
  std::optional<shm::Inbox> inbox;
  std::vector<shm::Card> cards = exchange_cards(node, inbox);
  if (!all_agree(node.comm.get(), inbox.has_value() && neighbour_reachable(node, cards))) return nullptr;
  return std::make_unique<shm::ShmTransport>(std::move(*inbox), std::move(cards), node.self,
                                             process.staging(), process.mappings(), process.regions(),
                                             process.config().attach);
}

/// Collective over the node. Null, on all its ranks, where shared memory does not work there.
std::unique_ptr<memory::Board> make_board(const topology::Node& node) {
  const std::size_t ranks = node.ranks.size();
  std::unique_ptr<memory::Board> board;
  memory::SegmentName name;
  try {
    if (node.self == 0) {
      board = std::make_unique<memory::Board>(ranks);
      name = board->name();
    }
  } catch (const Error& error) {
    log::warn("nothing is forwarded on this node: ", error.what());
  }
  check_mpi(MPI_Bcast(&name, sizeof name, MPI_BYTE, 0, node.comm.get()), "MPI_Bcast");
  try {
    if (node.self != 0 && name.fd >= 0) board = std::make_unique<memory::Board>(name, ranks);
  } catch (const Error& error) {
    log::warn("nothing is forwarded on this node: ", error.what());
  }
  if (!all_agree(node.comm.get(), board != nullptr)) board.reset();
  return board;
}

/// The first rank of every rank's node.
std::vector<int> node_numbers(MPI_Comm comm, const topology::Node& node) {
  int size = 0;
  check_mpi(MPI_Comm_size(comm, &size), "MPI_Comm_size");
  std::vector<int> numbers(static_cast<std::size_t>(size));
  check_mpi(MPI_Allgather(&node.ranks.front(), 1, MPI_INT, numbers.data(), 1, MPI_INT, comm),
            "MPI_Allgather");
  return numbers;
}

/// Whether any two ranks of the node use different network devices. Collective over the node.
bool devices_differ(const topology::Node& node) {
  const auto mine = static_cast<std::uint64_t>(std::hash<std::string>()(Process::get().devices()));
  std::uint64_t bounds[2] = {mine, ~mine};
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, bounds, 2, MPI_UINT64_T, MPI_MAX, node.comm.get()), "MPI_Allreduce");
  return bounds[0] != ~bounds[1];
}

/// What forwarding between nodes needs; a node of one rank forwards to itself.
void add_forwarding(Routes& routes, MPI_Comm comm, const topology::Node& node) {
  if (!all_agree(comm, Process::get().config().route != Route::direct)) return;
  std::unique_ptr<memory::Board> board = make_board(node);
  std::unique_ptr<transport::Transport> packets;
  if (node.ranks.size() > 1 && board != nullptr) packets = make_shared_memory(node);
  const bool works = board != nullptr && (node.ranks.size() == 1 || packets != nullptr);
  if (!all_agree(comm, works)) return;
  routes.nodes = plan::NodeMap(node_numbers(comm, node));
  routes.packet_network = make_network(comm);
  routes.devices_differ = devices_differ(node);
  routes.forced = any_agrees(comm, forces_forwarding(Process::get().config().route));
  routes.packet_node = std::move(packets);
  routes.board = std::move(board);
}

}  // namespace

transport::Transport& Routes::to(int peer) const {
  return std::binary_search(on_node.begin(), on_node.end(), peer) ? *shared_memory : *network;
}

Routes make_routes(MPI_Comm comm, const topology::Node& node) {
  Routes routes;
  if (node.ranks.size() > 1) routes.shared_memory = make_shared_memory(node);
  if (routes.shared_memory != nullptr) routes.on_node = node.ranks;
  int size = 0;
  check_mpi(MPI_Comm_size(comm, &size), "MPI_Comm_size");
  const bool needs_network = static_cast<int>(std::max<std::size_t>(routes.on_node.size(), 1)) < size;
  if (!any_agrees(comm, needs_network)) return routes;
  routes.network = make_network(comm);
  add_forwarding(routes, comm, node);
  return routes;
}

}  // namespace mpix::api
