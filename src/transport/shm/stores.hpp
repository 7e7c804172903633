// SPDX-License-Identifier: BSD-3-Clause
/// Chooses whether a sender writes its staging memory through its caches or past them, from what chunks cost.
///
/// Where sender and receiver share a cache, the way through it is the shortest. Where they do not, lines that
/// lie modified in another core's cache come several times slower than from memory. Which of both holds for
/// a pair is measured while it works and not read from a topology: processes and virtual processors migrate.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace mpix::transport::shm {

enum class Way : std::uint32_t { cached, streaming };
inline constexpr std::size_t kWays = 2;

/// Picoseconds a byte of each way, by Way; 0: not known.
using Costs = std::array<std::uint32_t, kWays>;

/// Mean cost of chunks that one side of a channel has copied, recent ones weighing more.
class CostMeter {
 public:
  /// One chunk was copied. The first ones after a change of ways do not count: their slots are where the
  /// other way has left them.
  void note(Way way, std::uint64_t nanoseconds, std::size_t bytes) noexcept;
  std::uint32_t cost(Way way) const noexcept { return costs_[static_cast<std::size_t>(way)]; }

 private:
  Costs costs_{};
  Way last_ = Way::cached;
  unsigned alike_ = 0;
};

/// The sender's choice. Now and then it tries a few chunks the other way.
class WayChooser {
 public:
  /// The way of the next chunk. `costs`: of sender and receiver together, of each way that both know.
  Way next(const Costs& costs) noexcept;

 private:
  Way favourite_ = Way::cached;
  unsigned position_ = 0;  // in the period
};

}  // namespace mpix::transport::shm
