// SPDX-License-Identifier: BSD-3-Clause
/// Waiting without burning a core that somebody else needs.
#pragma once

#include <sched.h>

#include <atomic>
#include <cstdint>

namespace mpix {

inline void cpu_relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

/// Spins for a number of polls, then yields. Reset on success.
class Backoff {
 public:
  explicit Backoff(std::int64_t spins) noexcept : spins_(spins) {}

  void reset() noexcept { polls_ = 0; }
  /// To be called after a poll that found nothing; true once it yielded rather than spun.
  bool pause() noexcept {
    if (polls_++ < spins_) {
      cpu_relax();
      return false;
    }
    sched_yield();
    return true;
  }
  std::int64_t polls() const noexcept { return polls_; }

 private:
  std::int64_t spins_;
  std::int64_t polls_ = 0;
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
