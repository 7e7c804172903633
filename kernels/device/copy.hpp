// SPDX-License-Identifier: BSD-3-Clause
/// What one thread of the copy kernel does. Threads neither share memory nor wait for each other, so that
/// tests can run each of them on the host, in any order.
#pragma once

#include "kernels/device/rows.hpp"

#ifdef __CUDACC__
#define MPIX_DEVICE_UNROLL _Pragma("unroll")
#else
#define MPIX_DEVICE_UNROLL
#endif

namespace mpix::kernels::device {

/// What is moved at a time.
template <int kWidth>
struct alignas(kWidth) Word {
  std::uint32_t parts[kWidth / 4];
};
template <>
struct Word<1> {
  std::uint8_t part;
};
template <>
struct alignas(2) Word<2> {
  std::uint16_t part;
};

/// Data is read once and written once: past the first-level cache where a kernel can say so.
template <int kWidth>
MPIX_DEVICE_INLINE Word<kWidth> load(const std::byte* from) {
#ifdef __CUDA_ARCH__
  if constexpr (kWidth == 16) {
    const uint4 value = __ldcs(reinterpret_cast<const uint4*>(from));
    return {{value.x, value.y, value.z, value.w}};
  } else if constexpr (kWidth == 8) {
    const uint2 value = __ldcs(reinterpret_cast<const uint2*>(from));
    return {{value.x, value.y}};
  } else {
    return *reinterpret_cast<const Word<kWidth>*>(from);
  }
#else
  Word<kWidth> word;
  __builtin_memcpy(&word, __builtin_assume_aligned(from, kWidth), kWidth);
  return word;
#endif
}

template <int kWidth>
MPIX_DEVICE_INLINE void store(std::byte* to, const Word<kWidth>& word) {
#ifdef __CUDA_ARCH__
  if constexpr (kWidth == 16) {
    __stcs(reinterpret_cast<uint4*>(to),
           make_uint4(word.parts[0], word.parts[1], word.parts[2], word.parts[3]));
  } else if constexpr (kWidth == 8) {
    __stcs(reinterpret_cast<uint2*>(to), make_uint2(word.parts[0], word.parts[1]));
  } else {
    *reinterpret_cast<Word<kWidth>*>(to) = word;
  }
#else
  __builtin_memcpy(__builtin_assume_aligned(to, kWidth), &word, kWidth);
#endif
}

/// Words that a thread reads before it writes them, so that their latencies overlap.
inline constexpr int kBatchWords = 4;

/// A tile that lies in one run on both sides, by words that neighbouring threads take in turn.
template <int kWidth>
MPIX_DEVICE_INLINE void move_run(const std::byte* source, std::byte* target, std::int32_t bytes, int thread) {
  constexpr std::int32_t kRound = kThreads * kWidth;
  for (std::int32_t at = thread * kWidth; at < bytes; at += kBatchWords * kRound) {
    Word<kWidth> words[kBatchWords];
    MPIX_DEVICE_UNROLL
    for (int i = 0; i < kBatchWords; ++i)
      if (at + i * kRound < bytes) words[i] = load<kWidth>(source + (at + i * kRound));
    MPIX_DEVICE_UNROLL
    for (int i = 0; i < kBatchWords; ++i)
      if (at + i * kRound < bytes) store<kWidth>(target + (at + i * kRound), words[i]);
  }
}

/// A tile of rows on both sides.
template <int kWidth>
MPIX_DEVICE_INLINE void move_rows(const Rows& source, const Rows& target, std::int32_t bytes, int thread) {
  constexpr std::int32_t kRound = kThreads * kWidth;
  for (std::int32_t at = thread * kWidth; at < bytes; at += kBatchWords * kRound) {
    Word<kWidth> words[kBatchWords];
    MPIX_DEVICE_UNROLL
    for (int i = 0; i < kBatchWords; ++i)
      if (at + i * kRound < bytes) words[i] = load<kWidth>(address_in(source, at + i * kRound));
    MPIX_DEVICE_UNROLL
    for (int i = 0; i < kBatchWords; ++i)
      if (at + i * kRound < bytes) store<kWidth>(address_in(target, at + i * kRound), words[i]);
  }
}

/// Any tile, from byte `begin` of the job on, each word looked up by itself.
template <int kWidth>
MPIX_DEVICE_INLINE void move_words(const Job& job, std::int64_t begin, std::int32_t bytes, int thread) {
  constexpr std::int32_t kRound = kThreads * kWidth;
  for (std::int32_t at = thread * kWidth; at < bytes; at += kBatchWords * kRound) {
    Word<kWidth> words[kBatchWords];
    std::byte* targets[kBatchWords];
    MPIX_DEVICE_UNROLL
    for (int i = 0; i < kBatchWords; ++i) {
      if (at + i * kRound >= bytes) break;
      const Positions positions = positions_at(job, begin + (at + i * kRound));
      words[i] = load<kWidth>(locate(job.source, positions.source).address);
      targets[i] = locate(job.target, positions.target).address;
    }
    MPIX_DEVICE_UNROLL
    for (int i = 0; i < kBatchWords; ++i)
      if (at + i * kRound < bytes) store<kWidth>(targets[i], words[i]);
  }
}

template <int kWidth>
MPIX_DEVICE_INLINE void move_tile(const Job& job, std::int64_t begin, std::int32_t bytes, int thread) {
  const Positions start = positions_at(job, begin);
  Rows source, target;
  if (start.rest < bytes || !find_rows(job.source, start.source, bytes, source) ||
      !find_rows(job.target, start.target, bytes, target)) {
    move_words<kWidth>(job, begin, bytes, thread);
  } else if (source.rest == bytes && target.rest == bytes) {
    move_run<kWidth>(source.first, target.first, bytes, thread);
  } else {
    move_rows<kWidth>(source, target, bytes, thread);
  }
}

/// Everything that thread `thread` of block `block` does.
MPIX_DEVICE_INLINE void run_thread(const Batch& batch, std::int64_t block, int thread) {
  const std::int64_t* const first_tile = batch.first_tile != nullptr ? batch.first_tile : batch.inline_first;
  const std::int64_t number = find_job(first_tile, batch.njobs, block);
  const Job& job = (batch.jobs != nullptr ? batch.jobs : batch.inline_jobs)[number];
  const std::int64_t begin = (block - first_tile[number]) * kTileBytes;
  const auto bytes =
      static_cast<std::int32_t>(job.bytes - begin < kTileBytes ? job.bytes - begin : kTileBytes);
  switch (job.width) {
    case 16:
      return move_tile<16>(job, begin, bytes, thread);
    case 8:
      return move_tile<8>(job, begin, bytes, thread);
    case 4:
      return move_tile<4>(job, begin, bytes, thread);
    case 2:
      return move_tile<2>(job, begin, bytes, thread);
    default:
      return move_tile<1>(job, begin, bytes, thread);
  }
}

}  // namespace mpix::kernels::device
