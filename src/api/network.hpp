// SPDX-License-Identifier: BSD-3-Clause
/// The transport between nodes of one communicator.
#pragma once

#include <mpi.h>

#include <memory>

#include "transport/ucx/transport.hpp"

namespace mpix::api {

/// Collective over `comm`; fails on all ranks or on none. Throws Error.
std::unique_ptr<transport::ucx::UcxTransport> make_network(MPI_Comm comm);

}  // namespace mpix::api
