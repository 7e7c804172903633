// SPDX-License-Identifier: BSD-3-Clause
/// Small agreements between the ranks of a communicator.
#pragma once

#include <mpi.h>

#include "base/status.hpp"

namespace mpix::api {

/// Whether `mine` is true on every rank, or on any. Collective. Throw Error (mpi).
bool all_agree(MPI_Comm comm, bool mine);
bool any_agrees(MPI_Comm comm, bool mine);

/// Throws on every rank if `mine` is not ok on any: the rank's own status where that is not ok, else that of
/// the lowest rank where it is not. Collective.
void throw_together(MPI_Comm comm, const Status& mine);

}  // namespace mpix::api
