// SPDX-License-Identifier: BSD-3-Clause
/// Values of bytes that tell where they come from.
#pragma once

#include <cstddef>
#include <cstdint>

#include "benchmarks/common/random.hpp"

namespace mpix::bench {

/// Bytes that say which origin and which place they belong to.
class Content {
 public:
  Content(std::uint64_t origin, std::uint64_t salt) : key_(mix(mix(origin) + salt)) {}

  std::byte at(std::int64_t place) const {
    const std::uint64_t word = mix(key_ + static_cast<std::uint64_t>(place / 8));
    return static_cast<std::byte>(word >> (8 * (place % 8)));
  }

  /// The bytes of places [place, place + bytes).
  void write(std::byte* to, std::int64_t place, std::int64_t bytes) const {
    std::int64_t i = 0;
    while (i < bytes && (place + i) % 8 != 0) to[i] = at(place + i), ++i;
    for (; i + 8 <= bytes; i += 8) {
      const std::uint64_t word = mix(key_ + static_cast<std::uint64_t>((place + i) / 8));
      for (int b = 0; b < 8; ++b) to[i + b] = static_cast<std::byte>(word >> (8 * b));
    }
    for (; i < bytes; ++i) to[i] = at(place + i);
  }

 private:
  std::uint64_t key_;
};

}  // namespace mpix::bench
