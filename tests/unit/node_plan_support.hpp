// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>

namespace mpix::plan {

/// MPIX_TEST_SEED, or a fresh seed; printed once, so that a failure can be repeated.
inline std::uint64_t base_seed() {
  static const std::uint64_t seed = [] {
    const char* value = std::getenv("MPIX_TEST_SEED");
    const std::uint64_t chosen = value ? std::strtoull(value, nullptr, 0) : std::random_device{}();
    std::cout << "MPIX_TEST_SEED=" << chosen << std::endl;
    return chosen;
  }();
  return seed;
}

}  // namespace mpix::plan
