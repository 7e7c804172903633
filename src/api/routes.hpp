// SPDX-License-Identifier: BSD-3-Clause
/// The transports of one communicator, and which of them reaches which rank.
#pragma once

#include <mpi.h>

#include <memory>
#include <vector>

#include "memory/board.hpp"
#include "plan/nodes.hpp"
#include "topology/topology.hpp"
#include "transport/transport.hpp"
#include "transport/ucx/transport.hpp"

namespace mpix::api {

struct Routes {
  std::vector<int> on_node;                               ///< ranks reached through shared memory, ascending
  std::unique_ptr<transport::Transport> shared_memory;    ///< null where on_node is empty
  std::unique_ptr<transport::ucx::UcxTransport> network;  ///< null where no rank of the communicator needs it

  // For packets between nodes; all null, on all ranks, where nothing is forwarded.
  std::unique_ptr<transport::ucx::UcxTransport> packet_network;
  std::unique_ptr<transport::Transport> packet_node;  ///< null where this rank is alone on its node
  std::unique_ptr<memory::Board> board;
  plan::NodeMap nodes;
  bool devices_differ = false;  ///< between ranks of this node
  bool forced = false;          ///< any rank forwards even short messages

  /// The transport that reaches `peer`.
  transport::Transport& to(int peer) const;
};

/// Sets up the transports of `comm`. Collective; fails on all ranks or on none. Throws Error.
Routes make_routes(MPI_Comm comm, const topology::Node& node);

}  // namespace mpix::api
