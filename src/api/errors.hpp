// SPDX-License-Identifier: BSD-3-Clause
/// From Status and exceptions to MPI error codes and error handlers.
#pragma once

#include <mpi.h>

#include <exception>
#include <new>

#include "base/status.hpp"

namespace mpix::api {

/// Makes the MPIX_ERR_* classes; no-op after the first call.
void make_error_classes();
/// An MPI error code of the class that belongs to `status`, whose string is the status's message.
int error_code(const Status& status) noexcept;
/// Calls the error handler of `comm` (MPI_COMM_SELF for none) unless `status` is ok; returns its code.
int report(MPI_Comm comm, const Status& status) noexcept;

/// The exception in flight as a Status.
Status current_exception_status() noexcept;

/// The guard of every entry point: runs `body`, which returns a Status or throws.
template <typename Body>
int guarded(MPI_Comm comm, Body&& body) noexcept {
  try {
    const Status status = body();
    return status.ok() ? MPI_SUCCESS : report(comm, status);
  } catch (...) {
    return report(comm, current_exception_status());
  }
}

/// Guard of local calls.
template <typename Body>
int guarded(Body&& body) noexcept {
  return guarded(MPI_COMM_NULL, std::forward<Body>(body));
}

}  // namespace mpix::api
