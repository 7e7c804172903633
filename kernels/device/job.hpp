// SPDX-License-Identifier: BSD-3-Clause
/// What a GPU's copy kernel works on. Plain structures and arithmetic, the same in a kernel, in the launching
/// process and in tests on the host. Every pointer here is one that the kernel can follow.
///
/// Bytes are named by their position: the number of bytes that come before in the listing order of the
/// blocks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/blocks.hpp"

#ifdef __CUDACC__
#define MPIX_DEVICE_INLINE __host__ __device__ __forceinline__
#else
#define MPIX_DEVICE_INLINE inline
#endif

namespace mpix::kernels::device {

/// Threads of a block, and bytes that it moves: a tile.
inline constexpr int kThreads = 256;
inline constexpr std::int64_t kTileBytes = 16384;
/// Blocks that a multiprocessor is to have room for, which bounds the registers of a thread.
inline constexpr int kBlocksAtOnce = 4;

/// Division of any 64-bit number by a fixed divisor > 0, as a multiplication.
struct Divisor {
  std::uint64_t divisor;
  std::uint64_t magic;  ///< the lower 64 of 65 bits, of which the upper one is set; 0: only shift
  std::uint32_t shift;
  std::uint32_t tile_magic;  ///< ceil(2^31 / min(divisor, kTileBytes)), for numbers < 2 * kTileBytes
};

/// As kernels::Dim.
struct StridedDim {
  Divisor count;
  std::int64_t stride;
};

/// Positions between two entries of View::coarse.
inline constexpr std::int64_t kCoarse = 4096;

/// Blocks at a buffer. A contiguous piece of memory is a strided View without dimensions.
struct View {
  std::byte* base;              ///< the buffer's address plus Blocks::offset
  Form form;                    ///< as are the following
  std::int32_t ndims;           ///<
  Divisor run;                  ///< strided, indexed: length of every run
  const StridedDim* dims;       ///< strided: [ndims], outermost first
  const std::int64_t* offsets;  ///< indexed, segments: [nruns]
  const std::int64_t* ends;     ///< segments: [nruns], the position after each run
  const std::int64_t* coarse;   ///< segments: the run that holds position i * kCoarse; [1 + bytes / kCoarse]
  std::int64_t nruns;
};

/// Bytes [previous piece's end, end) of a job come from `source` on and go to `target` on, both positions.
struct Piece {
  std::int64_t end;
  std::int64_t source;
  std::int64_t target;
};

/// `bytes` > 0 bytes from one View to another. Without pieces they are consecutive in both.
struct Job {
  View source, target;
  std::int64_t source_start, target_start;  ///< positions, added to those of the pieces
  std::int64_t bytes;
  const Piece* pieces;  ///< [npieces]; null for none
  std::int64_t npieces;
  std::uint32_t
      width;  ///< bytes moved at a time, 1 to 16: a power of two that divides all places and lengths
  std::uint32_t reserved;
};

/// Jobs that travel with the launch itself; more than these are read from a table in device memory.
inline constexpr int kInlineJobs = 16;

/// The kernel's only parameter. Block b works on tile b of the jobs together: job j has
/// ceil(bytes / kTileBytes) tiles, from number first_tile[j] on.
struct Batch {
  const Job* jobs;                 ///< null: inline_jobs
  const std::int64_t* first_tile;  ///< [njobs]; null: inline_first
  std::int64_t njobs;
  Job inline_jobs[kInlineJobs];
  std::int64_t inline_first[kInlineJobs];
};
static_assert(sizeof(Batch) <= 4096, "the limit of a kernel's parameters");

/// Name of the kernel in its module: extern "C" void (Batch), launched with kThreads threads a block.
inline constexpr const char* kKernelName = "mpix_layout_copy";

}  // namespace mpix::kernels::device
