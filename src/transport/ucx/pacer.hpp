// SPDX-License-Identifier: BSD-3-Clause
/// How much may be on its way to this rank at a time. What is sent earlier than the network can take it waits
/// in queues of the network, in front of what other ranks need, so that at the end of an exchange some links
/// are idle while others work off their queues. Therefore no more is kept on its way than arrives within a
/// few milliseconds, at the rate seen lately. Where the network is that fast, the staging memory is the
/// limit.
#pragma once

#include <chrono>
#include <cstdint>

namespace mpix::transport::ucx {

class Pacer {
 public:
  using Clock = std::chrono::steady_clock;

  /// Chunks of at most `chunk` bytes.
  explicit Pacer(std::int64_t chunk) noexcept : largest_(chunk) {}

  /// Bytes that may be on their way, and of one chunk.
  std::int64_t most() const noexcept { return most_; }
  std::int64_t chunk() const noexcept { return chunk_; }

  /// A chunk with `bytes` has arrived.
  void arrived(std::int64_t bytes) noexcept {
    sampled_bytes_ += bytes;
    ++sampled_chunks_;
  }
  /// Nothing is on its way: the rate at which things arrive says nothing about the network.
  void idle() noexcept { sampling_ = false; }
  /// To be called now and then while something is on its way.
  void look(Clock::time_point now) noexcept;
  /// Bytes a second; 0 while not known.
  double rate() const noexcept { return rate_; }

 private:
  void learn(double rate) noexcept;

  std::int64_t largest_;
  std::int64_t most_ = INT64_MAX;
  std::int64_t chunk_ = largest_;
  double rate_ = 0;
  bool sampling_ = false;
  int sampled_chunks_ = 0;
  std::int64_t sampled_bytes_ = 0;
  Clock::time_point began_;
};

}  // namespace mpix::transport::ucx
