// SPDX-License-Identifier: BSD-3-Clause
/// Reading MPI_Info objects.
#pragma once

#include <mpi.h>

#include <functional>
#include <string>

namespace mpix::api {

/// Calls `visit` with every key and value of `info`; none for MPI_INFO_NULL. Throws Error (mpi).
void for_each_info(MPI_Info info, const std::function<void(const std::string&, const std::string&)>& visit);

}  // namespace mpix::api
