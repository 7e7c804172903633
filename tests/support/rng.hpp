// SPDX-License-Identifier: BSD-3-Clause
/// Seeded random numbers for tests: the same seed gives the same sequence on every rank and platform.
#pragma once

#include <cstdint>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

namespace mpix::test {

/// Mixes `value` into `seed`; used to give every case, size and rank its own sequence.
constexpr std::uint64_t mix(std::uint64_t seed, std::uint64_t value) {
  std::uint64_t z = seed + 0x9e3779b97f4a7c15u * (value + 1);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

constexpr std::uint64_t mix(std::uint64_t seed, std::string_view name) {
  for (const char c : name) seed = mix(seed, static_cast<unsigned char>(c));
  return seed;
}

class Rng {
 public:
  explicit Rng(std::uint64_t seed) : engine_(seed) {}

  std::uint64_t bits() { return engine_(); }
  /// Uniform in [low, high].
  std::int64_t between(std::int64_t low, std::int64_t high) {
    // Unsigned: from INT64_MIN to INT64_MAX the difference has no place in an int64_t.
    const auto first = static_cast<std::uint64_t>(low);
    const std::uint64_t range = static_cast<std::uint64_t>(high) - first + 1;
    return static_cast<std::int64_t>(first + (range == 0 ? bits() : bits() % range));
  }
  int index(std::size_t count) { return static_cast<int>(between(0, static_cast<std::int64_t>(count) - 1)); }
  /// True `percent` times out of a hundred.
  bool chance(int percent) { return between(0, 99) < percent; }
  /// Spread over magnitudes: each power of two up to `high` is as likely as the others; 0 is possible.
  std::int64_t magnitude(std::int64_t high) {
    std::int64_t top = 1;
    while (top < high && chance(85)) top *= 2;
    return between(0, top < high ? top : high);
  }
  template <typename T>
  const T& pick(const std::vector<T>& values) {
    return values[static_cast<std::size_t>(index(values.size()))];
  }
  template <typename T>
  void shuffle(std::vector<T>& values) {
    for (std::size_t i = values.size(); i > 1; --i)
      std::swap(values[i - 1], values[static_cast<std::size_t>(index(i))]);
  }
  std::mt19937_64& engine() { return engine_; }

 private:
  std::mt19937_64 engine_;
};

}  // namespace mpix::test
