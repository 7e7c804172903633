// SPDX-License-Identifier: BSD-3-Clause
/// Cross-memory attach: reading another process's memory by system call.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/status.hpp"

namespace mpix::memory {

/// A word that a peer reads to see whether attach works: its address and its value.
struct AttachProbe {
  std::uint64_t address = 0;
  std::uint64_t value = 0;
};

/// This process's word; stays in place for the life of the process.
AttachProbe attach_probe() noexcept;
/// Whether process `pid`'s probe can be read from here, by a real transfer.
bool attach_works(pid_t pid, const AttachProbe& probe) noexcept;
/// Whether reading process `pid`'s memory at `remote` is faster than copying twice from `mapped`, which
/// is the same memory mapped here: what the way through shared chunks costs. `scratch` takes the bytes (twice
/// `bytes`).
bool attach_wins(pid_t pid, std::uint64_t remote, const std::byte* mapped, std::byte* scratch,
                 std::size_t bytes) noexcept;
/// Reads `bytes` from the `remote` pieces of process `pid` into the `local` ones (at most IOV_MAX of each,
/// the same total). Interrupted transfers go on. Status (peer) names the process and the reason.
Status attach_read(pid_t pid, std::span<iovec> local, std::span<iovec> remote, std::size_t bytes) noexcept;

}  // namespace mpix::memory
