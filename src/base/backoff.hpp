// SPDX-License-Identifier: BSD-3-Clause
/// Waiting without burning a core that somebody else needs.
#pragma once

#include <sched.h>

#include <atomic>
#include <chrono>
#include <cstdint>

namespace mpix {

inline void cpu_relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

/// Spins for a number of polls, but not for long, then yields. Does not spin while a yield takes so long that
/// others must have run in between: they need the core, of which the job's launcher may not know.
class Backoff {
 public:
  explicit Backoff(std::int64_t spins) noexcept : spins_(spins) {}

  /// To be called after a poll that found something.
  void reset() noexcept { polls_ = 0; }
  /// To be called after a poll that found nothing; true once it yielded rather than spun.
  bool pause() noexcept {
    if (!core_is_shared_ && polls_ < spins_ && !spun_long_enough()) {
      ++polls_;
      cpu_relax();
      return false;
    }
    const Clock::time_point before = Clock::now();
    sched_yield();
    core_is_shared_ = Clock::now() - before > kUnsharedYield;
    return true;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr auto kUnsharedYield = std::chrono::microseconds(2);
  static constexpr auto kLongestSpin = std::chrono::microseconds(100);
  static constexpr std::int64_t kClockInterval = 64;

  bool spun_long_enough() noexcept {
    if (polls_ % kClockInterval != 0 || polls_ == 0) return false;
    const Clock::time_point now = Clock::now();
    if (polls_ == kClockInterval) began_ = now;
    return now - began_ > kLongestSpin;
  }

  std::int64_t spins_;
  std::int64_t polls_ = 0;
  Clock::time_point began_;
  bool core_is_shared_ = false;
};

/// A lock that may be tried by its own holder (and fails then), for progress that can be re-entered.
class SpinLock {
 public:
  void lock() noexcept {
    Backoff backoff(100);
    while (!try_lock()) backoff.pause();
  }
  bool try_lock() noexcept {
    return !held_.load(std::memory_order_relaxed) && !held_.exchange(true, std::memory_order_acquire);
  }
  void unlock() noexcept { held_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> held_{false};
};

}  // namespace mpix
