// SPDX-License-Identifier: BSD-3-Clause
/// From the arguments of MPIX_Layout_create_* to layouts.
#pragma once

#include <mpi.h>

#include <functional>

#include "layout/layout.hpp"

namespace mpix {

/// Builders behind MPIX_Layout_create_*; array arguments as there. Throw Error (argument, count, type,
/// no_memory), naming the argument, the peer and the value that was found.
LayoutRef build_v(int npeers, const MPI_Count counts[], const MPI_Count displs[], MPI_Datatype type);
LayoutRef build_w(int npeers, const MPI_Count counts[], const MPI_Aint displs[], const MPI_Datatype types[]);
LayoutRef build_indexed_block(int npeers, const MPI_Count counts[], const MPI_Count indices[],
                              MPI_Datatype block);
/// The same of indices in the memory of a GPU. `make_list`, called at most once, multiplies the given number
/// of indices by an extent. Null where the blocks are better listed on the host (they are short, or no runs)
/// or do not fit 64-bit offsets, as build_indexed_block will say.
LayoutRef build_indexed_on_gpu(int npeers, const MPI_Count counts[], MPI_Datatype block,
                               const std::function<GpuList(std::int64_t, std::int64_t)>& make_list);
LayoutRef build_hindexed(int npeers, const MPI_Count counts[], const MPI_Count lengths[],
                         const MPI_Aint displs[]);

}  // namespace mpix
