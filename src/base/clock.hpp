// SPDX-License-Identifier: BSD-3-Clause
/// Short times, to be compared with each other.
#pragma once

#include <chrono>
#include <cstdint>

namespace mpix {

/// Nanoseconds since some moment; never back.
inline std::uint64_t nanoseconds() noexcept {
  const auto time = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(time).count());
}

}  // namespace mpix
