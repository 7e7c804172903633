// SPDX-License-Identifier: BSD-3-Clause
/// Whether the data that an exchange receives is stored through the caches or past them.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "base/clock.hpp"
#include "kernels/host.hpp"
#include "memory/stores.hpp"
#include "plan/plan.hpp"

namespace mpix::engine {

/// What exchanges that are alike have measured, and what follows for the next.
class StoreTrials {
 public:
  explicit StoreTrials(memory::Way guess) noexcept;
  memory::Way favourite() const noexcept { return chooser_.favourite(); }
  kernels::Stores next() noexcept;
  void note(kernels::Stores stores, std::uint64_t nanoseconds, std::int64_t bytes) noexcept;

 private:
  memory::WayChooser chooser_;
  memory::CostMeter meter_;
};

/// How an exchange stores what it receives, and what that costs.
struct Storing {
  kernels::Stores stores = kernels::Stores::cached;
  StoreTrials* trials = nullptr;  ///< where it is measured, for which
  std::uint64_t nanoseconds = 0;
  std::int64_t bytes = 0;
};

/// Measures what is stored while it lives, by which `bytes` grows.
class StoreTimer {
 public:
  StoreTimer(Storing& storing, const std::int64_t& bytes) noexcept : storing_(storing), bytes_(bytes) {
    if (!storing.trials) return;
    storing_.bytes -= bytes;
    storing_.nanoseconds -= nanoseconds();
  }
  ~StoreTimer() {
    if (!storing_.trials) return;
    storing_.bytes += bytes_;
    storing_.nanoseconds += nanoseconds();
  }
  StoreTimer(const StoreTimer&) = delete;
  StoreTimer& operator=(const StoreTimer&) = delete;

 private:
  Storing& storing_;
  const std::int64_t& bytes_;
};

/// The exchanges of an engine: those of a plan that is executed again by themselves, others by the magnitude
/// of what they receive.
class StoreChoices {
 public:
  /// For the next exchange of `plan`. `own`: what belongs to the plan; null for one that is not executed
  /// again. Throws std::bad_alloc.
  Storing next(const plan::Plan& plan, std::optional<StoreTrials>* own);

 private:
  StoreTrials& of_magnitude(std::int64_t bytes);

  std::deque<StoreTrials> magnitudes_;  // by the width of the number of bytes, from kMeasuredStores on
};

}  // namespace mpix::engine
