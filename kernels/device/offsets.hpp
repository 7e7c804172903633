// SPDX-License-Identifier: BSD-3-Clause
/// Offsets of blocks, made of indices that lie in the memory of a GPU. Threads only meet in atomic
/// operations, so that tests can run each of them on the host, in any order.
#pragma once

#include "kernels/device/job.hpp"

namespace mpix::kernels::device {

/// What the indices come to.
struct IndexFacts {
  std::int64_t least = INT64_MAX, most = INT64_MIN;
  std::uint64_t joined = 0;  ///< all of them, by `or`
};

/// The kernel's only parameter: offsets[i] = indices[i] * extent, modulo 2^64, for i < count.
struct OffsetsTask {
  const std::int64_t* indices;
  std::int64_t* offsets;
  std::int64_t count;
  std::int64_t extent;
  IndexFacts* facts;  ///< joined with what it was before
};

/// Name of the kernel in its module: extern "C" void (OffsetsTask), launched with kThreads threads a block.
inline constexpr const char* kOffsetsKernelName = "mpix_layout_offsets";
/// Indices of a thread, and most blocks.
inline constexpr std::int64_t kIndicesOfThread = 8;
inline constexpr std::int64_t kMostOffsetsBlocks = 1024;

constexpr std::int64_t offsets_blocks(std::int64_t count) noexcept {
  const std::int64_t blocks = (count - 1) / (kIndicesOfThread * kThreads) + 1;
  return blocks < kMostOffsetsBlocks ? blocks : kMostOffsetsBlocks;
}

MPIX_DEVICE_INLINE void join(IndexFacts& to, const IndexFacts& more) {
  to.least = more.least < to.least ? more.least : to.least;
  to.most = more.most > to.most ? more.most : to.most;
  to.joined |= more.joined;
}

#ifdef __CUDA_ARCH__
/// Of all threads of a warp, by its first one.
__device__ __forceinline__ void publish(IndexFacts mine, IndexFacts* all, int thread) {
  for (int step = 16; step > 0; step /= 2)
    join(mine, {__shfl_down_sync(~0u, mine.least, step), __shfl_down_sync(~0u, mine.most, step),
                __shfl_down_sync(~0u, mine.joined, step)});
  if (thread % 32 != 0) return;
  atomicMin(reinterpret_cast<long long*>(&all->least), static_cast<long long>(mine.least));
  atomicMax(reinterpret_cast<long long*>(&all->most), static_cast<long long>(mine.most));
  atomicOr(reinterpret_cast<unsigned long long*>(&all->joined), static_cast<unsigned long long>(mine.joined));
}
#else
inline void publish(const IndexFacts& mine, IndexFacts* all, int) {
  join(*all, mine);
}
#endif

/// Everything that thread `thread` of block `block` of `blocks` does.
MPIX_DEVICE_INLINE void run_offsets_thread(const OffsetsTask& task, std::int64_t block, std::int64_t blocks,
                                           int thread) {
  IndexFacts mine;
  for (std::int64_t i = block * kThreads + thread; i < task.count; i += blocks * kThreads) {
    const std::int64_t index = task.indices[i];
    task.offsets[i] = static_cast<std::int64_t>(static_cast<std::uint64_t>(index) *
                                                static_cast<std::uint64_t>(task.extent));
    join(mine, {index, index, static_cast<std::uint64_t>(index)});
  }
  publish(mine, task.facts, thread);
}

}  // namespace mpix::kernels::device
