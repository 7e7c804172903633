// SPDX-License-Identifier: BSD-3-Clause
#include "transport/ucx/pacer.hpp"

#include <algorithm>

namespace mpix::transport::ucx {
namespace {

/// A rate is that of at least this time and this many chunks.
constexpr auto kSample = std::chrono::milliseconds(5);
constexpr std::int64_t kSampleChunks = 4;
/// Seconds that what is on its way takes to arrive, and those of a chunk. Where the queues are shorter than
/// that, the rate that is seen rises until they are not, or until the staging memory is used up.
constexpr double kQueue = 4e-3;
constexpr double kChunkTime = 0.5e-3;
constexpr std::int64_t kShortestChunk = 32 << 10;
constexpr std::int64_t kLeastChunks = 2;
/// Share of the old rate where a new one is lower.
constexpr double kMemory = 0.95;

}  // namespace

void Pacer::look(Clock::time_point now) noexcept {
  if (!sampling_) {
    sampling_ = true;
    sampled_ = 0;
    began_ = now;
    return;
  }
  if (now - began_ < kSample || sampled_ < kSampleChunks * chunk_) return;
  learn(static_cast<double>(sampled_) / std::chrono::duration<double>(now - began_).count());
  sampled_ = 0;
  began_ = now;
}

void Pacer::learn(double rate) noexcept {
  rate_ = rate_ > rate ? kMemory * rate_ + (1 - kMemory) * rate : rate;
  chunk_ =
      std::clamp(static_cast<std::int64_t>(rate_ * kChunkTime), std::min(kShortestChunk, largest_), largest_);
  most_ = std::max(static_cast<std::int64_t>(rate_ * kQueue), kLeastChunks * chunk_);
}

}  // namespace mpix::transport::ucx
