// SPDX-License-Identifier: BSD-3-Clause
/// Checks of the builders' arguments. Each throws an Error that names the argument, the peer and the value.
#pragma once

#include <mpi.h>

#include <string>

#include "base/status.hpp"
#include "base/text.hpp"

namespace mpix::layout {

inline void check_npeers(int npeers) {
  if (npeers < 0) throw Error(Code::argument, text("npeers is ", npeers, ", below 0"));
}

inline void check_array(bool needed, const void* array, const char* name) {
  if (needed && array == nullptr) throw Error(Code::argument, text(name, " is a null pointer"));
}

inline void check_count(const MPI_Count counts[], int peer) {
  if (counts[peer] < 0) throw Error(Code::count, text("counts[", peer, "] is ", counts[peer], ", below 0"));
}

inline void check_type(MPI_Datatype type, const std::string& name) {
  if (type == MPI_DATATYPE_NULL) throw Error(Code::type, name + " is MPI_DATATYPE_NULL");
}

/// Checks all counts; the entries of all peers together.
inline MPI_Count total_count(int npeers, const MPI_Count counts[]) {
  MPI_Count total = 0;
  for (int peer = 0; peer < npeers; ++peer) {
    check_count(counts, peer);
    if (__builtin_add_overflow(total, counts[peer], &total))
      throw Error(Code::count, text("the sum of counts up to counts[", peer, "] does not fit 64 bits"));
  }
  return total;
}

}  // namespace mpix::layout
