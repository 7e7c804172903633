// SPDX-License-Identifier: BSD-3-Clause
/// Which ranks of a communicator share a node.
#pragma once

#include <mpi.h>

#include <vector>

#include "handle/mpi.hpp"

namespace mpix::topology {

struct Node {
  CommOwner comm;               ///< the ranks of this node, in the order of the communicator
  std::vector<int> ranks;       ///< their ranks in the communicator, ascending
  std::size_t self = 0;         ///< this rank's place among them
  bool alone = false;           ///< no rank of the communicator is on another node
  bool oversubscribed = false;  ///< the job has more ranks here than cores to run them
};

/// Collective over `comm`. Throws Error (mpi).
Node discover(MPI_Comm comm);

}  // namespace mpix::topology
