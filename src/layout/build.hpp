// SPDX-License-Identifier: BSD-3-Clause
/// From the arguments of MPIX_Layout_create_* to layouts.
#pragma once

#include <mpi.h>

#include "layout/layout.hpp"

namespace mpix {

/// Builders behind MPIX_Layout_create_*; array arguments as there. Throw Error (argument, count, type,
/// no_memory), naming the argument, the peer and the value that was found.
LayoutRef build_v(int npeers, const MPI_Count counts[], const MPI_Count displs[], MPI_Datatype type);
LayoutRef build_w(int npeers, const MPI_Count counts[], const MPI_Aint displs[], const MPI_Datatype types[]);
LayoutRef build_indexed_block(int npeers, const MPI_Count counts[], const MPI_Count indices[],
                              MPI_Datatype block);
LayoutRef build_hindexed(int npeers, const MPI_Count counts[], const MPI_Count lengths[],
                         const MPI_Aint displs[]);

}  // namespace mpix
