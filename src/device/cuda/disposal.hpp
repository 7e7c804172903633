// SPDX-License-Identifier: BSD-3-Clause
/// Freeing GPU memory waits for the device, thus for streams of the application, and these may wait for this
/// library: what is to be freed is kept as long as one does.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace mpix::device::cuda {

/// Thread-safe.
class Disposal {
 public:
  /// A stream starts to wait, and is let go.
  void hold() noexcept {
    const std::lock_guard guard(mutex_);
    ++held_;
  }
  void release() noexcept { --held_; }
  bool held() const noexcept { return held_ != 0; }

  /// Does `work`, which may wait for the device, unless a stream waits: returns false then. No stream starts
  /// to wait meanwhile.
  template <typename Work>
  bool unless_held(Work&& work) {
    const std::lock_guard guard(mutex_);
    if (held_ != 0) return false;
    work();
    return true;
  }

  /// Frees what `owner` owns: now, or by a later sweep().
  template <typename Owner>
  void put(Owner owner) noexcept {
    try {
      auto kept = std::make_shared<Owner>(std::move(owner));
      if (unless_held([&] { kept.reset(); })) return;
      const std::lock_guard guard(mutex_);
      kept_.push_back(std::move(kept));
    } catch (...) {  // out of memory: freed now, which waits if need be
    }
  }
  /// Frees what was kept, unless a stream waits.
  void sweep() noexcept {
    unless_held([&] { kept_.clear(); });
  }

 private:
  std::atomic<int> held_ = 0;
  std::mutex mutex_;
  std::vector<std::shared_ptr<void>> kept_;
};

}  // namespace mpix::device::cuda
