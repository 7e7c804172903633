// SPDX-License-Identifier: BSD-3-Clause
#include "transport/ucx/pacer.hpp"

#include <algorithm>

namespace mpix::transport::ucx {
namespace {

/// A rate is that of at least this time, this many chunks and this many bytes. Few, so that of ranks that
/// share a network, all soon know its rate: who keeps less on its way than others do gets a small part of it.
constexpr auto kSample = std::chrono::milliseconds(5);
constexpr int kSampleChunks = 4;
constexpr std::int64_t kSampleBytes = 128 << 10;
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
  if (sampling_) {
    if (now - began_ < kSample || sampled_chunks_ < kSampleChunks || sampled_bytes_ < kSampleBytes) return;
    learn(static_cast<double>(sampled_bytes_) / std::chrono::duration<double>(now - began_).count());
  }
  sampling_ = true;
  sampled_chunks_ = 0;
  sampled_bytes_ = 0;
  began_ = now;
}

void Pacer::learn(double rate) noexcept {
  rate_ = rate_ > rate ? kMemory * rate_ + (1 - kMemory) * rate : rate;
  chunk_ =
      std::clamp(static_cast<std::int64_t>(rate_ * kChunkTime), std::min(kShortestChunk, largest_), largest_);
  most_ = std::max(static_cast<std::int64_t>(rate_ * kQueue), kLeastChunks * chunk_);
}

}  // namespace mpix::transport::ucx
