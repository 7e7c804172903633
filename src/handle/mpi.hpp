// SPDX-License-Identifier: BSD-3-Clause
/// Owners of MPI handles, and the check of MPI return codes.
#pragma once

#ifdef HAVE_CONFIG_H
#include <config.h>  // HAVE_MPIX_*, HAVE_MPI_*
#endif
#include <mpi.h>

#include <utility>

#include "base/log.hpp"
#include "base/status.hpp"
#include "base/text.hpp"

namespace mpix {

/// What MPI says of `code`.
inline std::string mpi_error_text(int code) {
  char buffer[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  if (MPI_Error_string(code, buffer, &length) != MPI_SUCCESS) return text("MPI error ", code);
  return buffer;
}

/// Throws Error (mpi) that names the call unless `code` is MPI_SUCCESS.
inline void check_mpi(int code, const char* call) {
  if (code != MPI_SUCCESS) throw Error(Code::mpi, text(call, " failed: ", mpi_error_text(code)));
}

/// For destructors and callbacks: logs instead of throwing.
inline void warn_mpi(int code, const char* call) noexcept {
  if (code != MPI_SUCCESS) log::warn(call, " failed: ", mpi_error_text(code));
}

/// A communicator that this object frees; freeing is collective.
class CommOwner {
 public:
  CommOwner() noexcept = default;
  explicit CommOwner(MPI_Comm comm) noexcept : comm_(comm) {}
  CommOwner(CommOwner&& other) noexcept : comm_(std::exchange(other.comm_, MPI_COMM_NULL)) {}
  CommOwner& operator=(CommOwner&& other) noexcept {
    std::swap(comm_, other.comm_);
    return *this;
  }
  ~CommOwner() {
    if (comm_ != MPI_COMM_NULL) warn_mpi(MPI_Comm_free(&comm_), "MPI_Comm_free");
  }
  MPI_Comm get() const noexcept { return comm_; }

 private:
  MPI_Comm comm_ = MPI_COMM_NULL;
};

}  // namespace mpix
