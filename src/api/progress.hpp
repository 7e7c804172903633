// SPDX-License-Identifier: BSD-3-Clause
/// Progress of nonblocking exchanges while the application is inside MPI, or in its own code.
#pragma once

#include "api/communicator.hpp"

namespace mpix::api::progress {

/// How requests are completed in this process.
enum class Way {
  hook,    ///< MPI's progress engine calls the library (Open MPI)
  poll,    ///< MPI polls each request that is waited for (MPIX_Grequest_start)
  thread,  ///< a thread of the library
};

/// The way in force, chosen on the first call. Throws Error (argument) where the configuration asks for one
/// that this MPI does not have.
Way way();
/// Makes sure that requests get progress; to be called before the first request.
void ensure();

/// Between these calls, which may nest, exchanges go on although nobody calls MPI or this library: a thread
/// sees to it, which makes no call of MPI.
void accompany();
void dismiss() noexcept;

/// From now on `communicator` has requests to progress.
void enlist(Communicator& communicator);
/// No call to `communicator` is under way any more, nor will there be one.
void withdraw(Communicator& communicator) noexcept;
/// One pass over all enlisted communicators; completes requests. Returns their number.
int run() noexcept;
/// What a rank does while it waits in a blocking call: run(), and MPI's own progress.
void idle() noexcept;
/// Undoes ensure(); in MPI_Finalize.
void stop() noexcept;

}  // namespace mpix::api::progress
