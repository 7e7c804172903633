// SPDX-License-Identifier: BSD-3-Clause
#include "topology/topology.hpp"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace mpix::topology {
namespace {

/// Ranks of the job on this node as the launcher says, or 0.
int launched_ranks() {
  for (const char* name : {"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "PMI_LOCAL_SIZE"}) {
    const char* const value = std::getenv(name);
    if (value != nullptr) return std::atoi(value);
  }
  return 0;
}

/// Cores that the ranks of `node` may use together.
int usable_cores(MPI_Comm node) {
  cpu_set_t mine;
  CPU_ZERO(&mine);
  if (::sched_getaffinity(0, sizeof mine, &mine) != 0) return CPU_SETSIZE;
  cpu_set_t all;
  check_mpi(MPI_Allreduce(&mine, &all, static_cast<int>(sizeof mine), MPI_BYTE, MPI_BOR, node),
            "MPI_Allreduce");
  return CPU_COUNT(&all);
}

}  // namespace

Node discover(MPI_Comm comm) {
  Node node;
  int rank = 0, size = 0;
  check_mpi(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(comm, &size), "MPI_Comm_size");
  MPI_Comm shared = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &shared),
            "MPI_Comm_split_type");
  node.comm = CommOwner(shared);
  check_mpi(MPI_Comm_set_errhandler(shared, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  int local_rank = 0, local_size = 0;
  check_mpi(MPI_Comm_rank(shared, &local_rank), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(shared, &local_size), "MPI_Comm_size");
  node.self = static_cast<std::size_t>(local_rank);
  node.ranks.resize(static_cast<std::size_t>(local_size));
  check_mpi(MPI_Allgather(&rank, 1, MPI_INT, node.ranks.data(), 1, MPI_INT, shared), "MPI_Allgather");
  node.alone = local_size == size;
  node.oversubscribed = std::max(local_size, launched_ranks()) > usable_cores(shared);
  return node;
}

}  // namespace mpix::topology
