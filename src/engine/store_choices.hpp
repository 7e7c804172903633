// SPDX-License-Identifier: BSD-3-Clause
/// Whether the data that an exchange receives is stored through the caches or past them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.hpp"
#include "kernels/host.hpp"
#include "memory/stores.hpp"
#include "plan/plan.hpp"

namespace mpix::engine {

/// How an exchange stores what it receives, and what that costs.
struct Storing {
  kernels::Stores stores = kernels::Stores::cached;
  std::optional<std::size_t> magnitude;  ///< where it is measured, of the exchange
  std::uint64_t nanoseconds = 0;
  std::int64_t bytes = 0;
};

/// Measures what is stored while it lives, by which `bytes` grows.
class StoreTimer {
 public:
  StoreTimer(Storing& storing, const std::int64_t& bytes) noexcept : storing_(storing), bytes_(bytes) {
    if (!storing.magnitude) return;
    storing_.bytes -= bytes;
    storing_.nanoseconds -= nanoseconds();
  }
  ~StoreTimer() {
    if (!storing_.magnitude) return;
    storing_.bytes += bytes_;
    storing_.nanoseconds += nanoseconds();
  }
  StoreTimer(const StoreTimer&) = delete;
  StoreTimer& operator=(const StoreTimer&) = delete;

 private:
  Storing& storing_;
  const std::int64_t& bytes_;
};

/// The exchanges of an engine, by the magnitude of what they receive.
class StoreChoices {
 public:
  /// For the next exchange of `plan`. Throws std::bad_alloc.
  Storing next(const plan::Plan& plan);
  /// An exchange is done, which has stored so.
  void note(const Storing& storing) noexcept;

 private:
  struct Magnitude {
    explicit Magnitude(memory::Way guess) noexcept;
    memory::WayChooser chooser;
    memory::CostMeter meter;
  };

  std::vector<Magnitude> magnitudes_;  // by the width of the number of bytes, from the least that is measured
};

}  // namespace mpix::engine
