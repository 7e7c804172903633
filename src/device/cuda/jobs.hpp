// SPDX-License-Identifier: BSD-3-Clause
/// Jobs of the copy kernel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "device/device.hpp"
#include "kernels/device/job.hpp"

namespace mpix::device::cuda {

/// One side of a job: a View, from which position on, and what all its places and lengths are multiples of.
struct End {
  kernels::device::View view;
  std::int64_t start = 0;
  std::uint64_t alignment = 0;  ///< numbers joined by `or`
};

/// Blocks. The mirror of `side`, if any, is a ListMirror.
End end_of(const Side& side) noexcept;
/// `bytes` bytes of contiguous memory.
End end_of(const std::byte* data, std::int64_t bytes) noexcept;

/// bytes > 0.
kernels::device::Job make_job(const End& target, const End& source, std::int64_t bytes) noexcept;

/// Entries as pieces of a job.
struct PieceList {
  std::int64_t npieces = 0;
  std::int64_t bytes = 0;          ///< of all pieces
  std::int64_t low = 0, high = 0;  ///< the flat memory that they use
  std::uint64_t alignment = 0;     ///< positions and lengths, joined by `or`
};
/// Leaves out entries without bytes and joins those that continue one another; positions in flat memory count
/// from the first entry's. `pieces` has room for all entries; null to count only.
PieceList make_pieces(std::span<const Entry> entries, kernels::device::Piece* pieces) noexcept;
/// A job whose pieces are `pieces`.
kernels::device::Job make_job(const End& target, const End& source, const PieceList& list,
                              const kernels::device::Piece* pieces) noexcept;

}  // namespace mpix::device::cuda
