// SPDX-License-Identifier: BSD-3-Clause
/// What a plan handle refers to; shared with the exchanges that were started from it.
#pragma once

#include <memory>

#include "api/communicator.hpp"

namespace mpix::api {

struct PlanState {
  std::shared_ptr<Communicator> communicator;
  engine::PlanLayouts layouts;
  std::shared_ptr<const engine::BoundPlan> bound;
  std::shared_ptr<const engine::BoundPlan> bound_in_place;  ///< for starts with MPI_IN_PLACE
  double seconds = 0;                                       ///< that planning took

  // Guarded by the lock of the communicator's engine.
  std::int64_t starts = 0, completions = 0;
  engine::Traffic traffic;

  void count_completion(const engine::Traffic& moved) noexcept {
    ++completions;
    traffic += moved;
  }
};

}  // namespace mpix::api
