// SPDX-License-Identifier: BSD-3-Clause
/// How the benchmarks treat return codes: anything but MPI_SUCCESS becomes an Error, which ends the program.
#pragma once

#include <mpi.h>

#include <stdexcept>
#include <string>

namespace mpix::bench {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws an Error with MPI's text for `code`.
[[noreturn]] void throw_mpi_error(int code, const char* call);

inline void check(int code, const char* call) {
  if (code != MPI_SUCCESS) throw_mpi_error(code, call);
}

/// For destructors: prints what `check` would throw.
void check_noexcept(int code, const char* call) noexcept;

/// `value` as the int that an MPI-3 interface takes; throws where it does not fit.
int to_int(long long value, const char* what);

int comm_rank(MPI_Comm comm);
int comm_size(MPI_Comm comm);

}  // namespace mpix::bench
