// SPDX-License-Identifier: BSD-3-Clause
/// The end of communicators, while MPI calls are still possible.
#pragma once

#include <memory>
#include <vector>

#include "api/communicator.hpp"

namespace mpix::api {

/// Completes the exchanges of `communicators`, waits for their other ranks where they used the network, and
/// closes them. Collective over each of them, in any order. `last`: the process will use no communicator any
/// more; the network's endpoints are closed, too.
void end_communicators(const std::vector<std::shared_ptr<Communicator>>& communicators, bool last) noexcept;

}  // namespace mpix::api
