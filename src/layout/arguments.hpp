// SPDX-License-Identifier: BSD-3-Clause
/// Checks of the builders' arguments. Each throws an Error that names the argument, the peer and the value.
#pragma once

#include <mpi.h>

#include <cstddef>
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

[[noreturn]] inline void report_null_type(const std::string& name) {
  throw Error(Code::type, name + " is MPI_DATATYPE_NULL");
}

/// What the counts of all peers come to.
struct Totals {
  std::size_t peers = 0;  ///< with counts above 0
  MPI_Count entries = 0;
};

/// Checks all counts, and their sum where `summed`.
inline Totals check_counts(int npeers, const MPI_Count counts[], bool summed) {
  Totals totals;
  for (int peer = 0; peer < npeers; ++peer) {
    if (counts[peer] < 0) throw Error(Code::count, text("counts[", peer, "] is ", counts[peer], ", below 0"));
    totals.peers += counts[peer] > 0;
    if (summed && __builtin_add_overflow(totals.entries, counts[peer], &totals.entries))
      throw Error(Code::count, text("the sum of counts up to counts[", peer, "] does not fit 64 bits"));
  }
  return totals;
}

}  // namespace mpix::layout
