// SPDX-License-Identifier: BSD-3-Clause
/// Inner loops on host memory: gather, scatter, and copy from one layout to another in one pass.
#pragma once

#include <cstddef>
#include <string_view>

#include "kernels/blocks.hpp"

namespace mpix::kernels {

/// How a kernel writes. Streaming stores go past the caches: right when the data exceeds them.
enum class Stores { cached, streaming };

/// One instruction set's loops. Each moves the next `bytes` bytes from the cursors' positions on, which must
/// exist in every Blocks involved, and advances the cursors; runs may be cut anywhere. Streaming stores are
/// fenced before return, so that a following release store publishes them. No byte outside the runs is
/// written; no byte outside the runs is read. Source and destination must not overlap.
struct HostKernels {
  const char* name;
  /// Blocks at `base` to contiguous `out`.
  void (*gather)(const std::byte* base, const Blocks& blocks, Cursor& cursor, std::byte* out,
                 std::size_t bytes, Stores stores) noexcept;
  /// Contiguous `in` to blocks at `base`.
  void (*scatter)(std::byte* base, const Blocks& blocks, Cursor& cursor, const std::byte* in,
                  std::size_t bytes, Stores stores) noexcept;
  /// Blocks at `source` to blocks at `target`.
  void (*copy)(std::byte* target, const Blocks& target_blocks, Cursor& target_cursor, const std::byte* source,
               const Blocks& source_blocks, Cursor& source_cursor, std::size_t bytes, Stores stores) noexcept;
};

/// The loops called `name` ("avx512", "avx2", "portable"), or the best for this processor for "auto".
/// Null where the name is unknown or the processor lacks the instructions.
const HostKernels* host_kernels(std::string_view name) noexcept;

}  // namespace mpix::kernels
