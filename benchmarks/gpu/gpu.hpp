// SPDX-License-Identifier: BSD-3-Clause
/// What the benchmarks of exchanges do with a GPU. In builds without CUDA everything throws.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "benchmarks/common/methods.hpp"
#include "benchmarks/common/movement.hpp"

namespace mpix::bench::gpu {

/// Chooses the GPU of this rank: those of a node take turns over its ranks. Collective over `comm`; to be
/// called before the rest. Throws Error where there is no GPU.
void start(MPI_Comm comm);
/// In words, with what the baselines give the MPI.
std::string description();

std::byte* allocate(std::int64_t bytes);
void release(std::byte* memory) noexcept;
void upload(std::byte* to, const std::byte* from, std::int64_t bytes);
void download(std::byte* to, const std::byte* from, std::int64_t bytes);

/// Waits for all movements.
void synchronize();

/// Between the blocks of `side` in `buffer` and the same bytes end to end in `flat`: the library's kernel.
std::unique_ptr<Movement> make_packing(const Side& side, const Buffer& buffer, const Buffer& flat,
                                       bool gathers);
/// The same kernel, from rows to rows.
std::unique_ptr<Movement> make_row_movement(const std::vector<RowCopy>& copies, std::int64_t row,
                                            const Buffer& from, const Buffer& to);
/// Memory of the GPU itself where the MPI takes it, else pinned memory.
std::unique_ptr<MpiMemory> make_mpi_memory(const Buffer& buffer);

/// Gather kernel, copies from the other ranks' send buffers by CUDA IPC, scatter kernel. One node only.
std::unique_ptr<Method> make_ipc(const Exchange& exchange, const Buffers& buffers);
/// The limit: a copy of as many contiguous bytes as are received.
std::unique_ptr<Method> make_copy(const Exchange& exchange, const Buffers& buffers);

}  // namespace mpix::bench::gpu
