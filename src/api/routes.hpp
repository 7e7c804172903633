// SPDX-License-Identifier: BSD-3-Clause
/// The transports of one communicator, and which of them reaches which rank.
#pragma once

#include <mpi.h>

#include <memory>
#include <vector>

#include "topology/topology.hpp"
#include "transport/transport.hpp"
#include "transport/ucx/transport.hpp"

namespace mpix::api {

struct Routes {
  std::vector<int> on_node;                               ///< ranks reached through shared memory, ascending
  std::unique_ptr<transport::Transport> shared_memory;    ///< null where on_node is empty
  std::unique_ptr<transport::ucx::UcxTransport> network;  ///< null where no rank of the communicator needs it

  /// The transport that reaches `peer`.
  transport::Transport& to(int peer) const;
};

/// Sets up the transports of `comm`. Collective; fails on all ranks or on none. Throws Error.
Routes make_routes(MPI_Comm comm, const topology::Node& node);

}  // namespace mpix::api
