// SPDX-License-Identifier: BSD-3-Clause
#include "api/agree.hpp"

#include <array>
#include <cstring>

#include "handle/mpi.hpp"

namespace mpix::api {
namespace {

bool reduce(MPI_Comm comm, bool mine, MPI_Op op) {
  int value = mine ? 1 : 0;
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_INT, op, comm), "MPI_Allreduce");
  return value != 0;
}

}  // namespace

bool all_agree(MPI_Comm comm, bool mine) {
  return reduce(comm, mine, MPI_LAND);
}

bool any_agrees(MPI_Comm comm, bool mine) {
  return reduce(comm, mine, MPI_LOR);
}

void throw_together(MPI_Comm comm, const Status& mine) {
  int rank = 0, size = 0;
  check_mpi(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(comm, &size), "MPI_Comm_size");
  int first = mine.ok() ? size : rank;
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_INT, MPI_MIN, comm), "MPI_Allreduce");
  if (first == size) return;
  struct {
    int code = 0;
    std::array<char, 200> message{};
  } found;
  if (rank == first) {
    found.code = static_cast<int>(mine.code());
    mine.message().copy(found.message.data(), found.message.size() - 1);
  }
  check_mpi(MPI_Bcast(&found, static_cast<int>(sizeof found), MPI_BYTE, first, comm), "MPI_Bcast");
  if (!mine.ok()) throw Error(mine);
  throw Error(static_cast<Code>(found.code), text("rank ", first, ": ", found.message.data()));
}

}  // namespace mpix::api
