// SPDX-License-Identifier: BSD-3-Clause
/// Exchanges in the order of a CUDA stream.
#pragma once

#include "engine/exchange.hpp"

namespace mpix::api {

/// The present end of `cuda_stream`, which from here on waits for the exchange that takes the result; the
/// exchange goes on although nobody calls MPI. Throws Error (argument) where there is no CUDA.
engine::OnStream on_stream(void* cuda_stream);

}  // namespace mpix::api
