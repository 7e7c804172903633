// SPDX-License-Identifier: BSD-3-Clause
/// The plain block descriptor that layouts, plans and kernels share. Nothing here owns memory or calls
/// anything, so that the same structure can be read by host kernels, by CUDA kernels and out of shared
/// memory.
#pragma once

#include <cstdint>

namespace mpix::kernels {

/// `count` repetitions, `stride` bytes apart; strides may be negative.
struct Dim {
  std::int64_t count;
  std::int64_t stride;
};

/// Largest number of dimensions that the strided form keeps; deeper nests become segments.
inline constexpr int kMaxDims = 16;

enum class Form : std::int32_t {
  strided,   ///< `dims` around one run: run i lies at offset + sum of index_d(i) * stride_d
  indexed,   ///< run i lies at offset + offsets[i]
  segments,  ///< run i lies at offset + offsets[i] and is lengths[i] long
};

/// A list of offsets in the memory of a GPU.
struct GpuOffsets {
  const std::int64_t* offsets;  ///< for kernels to follow
  std::uint64_t alignment;      ///< a power of two that divides all offsets, or 0 where all of them are 0
  std::uint64_t gpu;            ///< whose kernels find them, by a number above 0
};

/// Blocks of a buffer in listing order: `nruns` contiguous runs, `bytes` bytes in all. A view: the arrays
/// belong to the layout. `bytes` == 0 means no runs; otherwise every run is longer than 0.
struct Blocks {
  Form form = Form::strided;
  std::int32_t ndims = 0;                 ///< strided: number of dims, 0 for a single run
  std::int64_t bytes = 0;                 ///< sum of the lengths of all runs
  std::int64_t offset = 0;                ///< bytes from the buffer's address, added to every run's place
  std::int64_t run = 0;                   ///< strided, indexed: bytes of each run
  std::int64_t nruns = 0;                 ///< product of the dims' counts, or the length of the arrays
  const Dim* dims = nullptr;              ///< strided: [ndims], outermost first, each count > 1
  const std::int64_t* offsets = nullptr;  ///< indexed, segments: [nruns]
  const std::int64_t* lengths = nullptr;  ///< segments: [nruns]
  const GpuOffsets* on_gpu =
      nullptr;  ///< indexed: of the same offsets, in place of which `offsets` may be null
};

/// A position in Blocks: `within` bytes into run number `run`. Value-initialised, it is the start.
struct Cursor {
  std::int64_t run = 0;
  std::int64_t within = 0;
};

}  // namespace mpix::kernels
