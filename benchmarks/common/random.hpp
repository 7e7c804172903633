// SPDX-License-Identifier: BSD-3-Clause
/// Random numbers that are the same on every rank, compiler and library, so that any rank can work out what
/// another one does.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <utility>
#include <vector>

namespace mpix::bench {

/// A bijection of 64-bit words whose bits depend on all bits of `x` (the finaliser of SplitMix64, Steele et
/// al., OOPSLA 2014).
constexpr std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// A generator for the purpose that `a` and `b` name.
class Random {
 public:
  Random(std::uint64_t seed, std::uint64_t a, std::uint64_t b) : state_(mix(mix(mix(seed) + a) + b)) {}

  std::uint64_t next() { return mix(state_++); }
  /// Uniform in [0, n); the bias is below n / 2^64.
  std::uint64_t below(std::uint64_t n) {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * n) >> 64);
  }
  /// Uniform in (0, 1].
  double unit() { return static_cast<double>((next() >> 11) + 1) * 0x1p-53; }
  /// exp(sigma * N(0, 1)).
  double log_normal(double sigma) {
    const double radius = std::sqrt(-2.0 * std::log(unit()));
    return std::exp(sigma * radius * std::cos(2.0 * std::numbers::pi * unit()));
  }

 private:
  std::uint64_t state_;
};

/// The first `wanted` entries of a random permutation of 0 .. n - 1.
inline std::vector<std::int64_t> permutation(std::int64_t n, std::int64_t wanted, Random random) {
  std::vector<std::int64_t> entries(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < entries.size(); ++i) entries[i] = static_cast<std::int64_t>(i);
  for (std::size_t i = 0; i < static_cast<std::size_t>(wanted); ++i) {
    std::swap(entries[i], entries[i + random.below(entries.size() - i)]);
  }
  entries.resize(static_cast<std::size_t>(wanted));
  return entries;
}

}  // namespace mpix::bench
