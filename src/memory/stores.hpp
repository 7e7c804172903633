// SPDX-License-Identifier: BSD-3-Clause
/// Chooses whether memory is written through the caches or past them, from what earlier writing has cost.
///
/// Which is faster depends on what no topology tells: whether another core, or the application, has the lines
/// in a cache, how much of the last cache is left to this process by its neighbours, and how a processor
/// treats stores past the caches to lines that are in one. Processes and virtual processors migrate, too. So
/// both are tried now and then while there is work.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace mpix::memory {

enum class Way : std::uint32_t { cached, streaming };
inline constexpr std::size_t kWays = 2;

/// Picoseconds a byte of each way, by Way; 0: not known.
using Costs = std::array<std::uint32_t, kWays>;

/// When the way that is not the favourite is tried, in pieces of work, and how costs are found.
struct TrialSchedule {
  unsigned before = 0;    ///< pieces before the first trial
  unsigned trial = 0;     ///< pieces of a trial, with which a period begins
  unsigned verdict = 0;   ///< when in the period costs are compared: late enough that the trial's are known
  unsigned every = 1;     ///< after how many pieces again
  unsigned period = 1;    ///< pieces from trial to trial
  unsigned longest = 1;   ///< to which the period is doubled while trials change nothing
  unsigned warm = 0;      ///< pieces of one way before they count: they find what the other way has left
  unsigned least_of = 0;  ///< of how many that counted last the least is the cost; 0: their mean
};
inline constexpr std::size_t kMostRecent = 4;  ///< for TrialSchedule::least_of

/// What pieces of work cost, of late.
class CostMeter {
 public:
  explicit CostMeter(const TrialSchedule& schedule) noexcept
      : warm_(schedule.warm), least_of_(schedule.least_of) {}
  /// One piece was written.
  void note(Way way, std::uint64_t nanoseconds, std::size_t bytes) noexcept;
  std::uint32_t cost(Way way) const noexcept { return costs_[static_cast<std::size_t>(way)]; }
  const Costs& costs() const noexcept { return costs_; }

 private:
  /// The last costs of one way, in turn.
  struct Recent {
    std::array<std::uint32_t, kMostRecent> costs{};
    unsigned counted = 0;
  };

  unsigned warm_, least_of_;
  Costs costs_{};
  std::array<Recent, kWays> recent_{};
  Way last_ = Way::cached;
  unsigned alike_ = 0;
};

/// The writer's choice.
class WayChooser {
 public:
  explicit WayChooser(const TrialSchedule& schedule, Way favourite = Way::cached) noexcept
      : schedule_(schedule), favourite_(favourite), period_(schedule.before) {}
  Way favourite() const noexcept { return favourite_; }
  /// The way of the next piece. `costs`: of all who are concerned together, of each way that is known.
  Way next(const Costs& costs) noexcept;

 private:
  void judge(const Costs& costs) noexcept;

  TrialSchedule schedule_;
  Way favourite_;
  unsigned period_;        // now; what comes before the first trial counts as one
  unsigned position_ = 0;  // in it
  bool tried_ = false;
};

}  // namespace mpix::memory
