// SPDX-License-Identifier: BSD-3-Clause
/// Copies from blocks in another process's memory to blocks in this one's, by cross-memory attach.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "base/status.hpp"
#include "kernels/blocks.hpp"

namespace mpix::engine {

/// One side: an address, blocks there, and the position in them.
struct AttachSide {
  std::byte* base;
  const kernels::Blocks& blocks;
  kernels::Cursor& cursor;
};

/// Reads the next bytes of `source`, in process `pid`, into `target`: up to `bytes` of them, and as many as
/// one system call's piece lists hold. Sets `copied`; both cursors advance by it.
Status attach_copy(pid_t pid, AttachSide target, AttachSide source, std::int64_t bytes,
                   std::int64_t& copied) noexcept;

}  // namespace mpix::engine
