// SPDX-License-Identifier: BSD-3-Clause
/// What the benchmarks of exchanges do with a GPU. In builds without CUDA everything throws.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <memory>
#include <string>

#include "benchmarks/common/methods.hpp"

namespace mpix::bench::gpu {

/// Chooses the GPU of this rank: those of a node take turns over its ranks. Collective over `comm`; to be
/// called before the rest. Throws Error where there is no GPU.
void start(MPI_Comm comm);
/// In words, with how `packed` reaches the MPI.
std::string description();

std::byte* allocate(std::int64_t bytes);
void release(std::byte* memory) noexcept;
void upload(std::byte* to, const std::byte* from, std::int64_t bytes);
void download(std::byte* to, const std::byte* from, std::int64_t bytes);

/// Gather kernel, MPI_Alltoallv, scatter kernel: on memory of the GPU where the MPI takes it, else through
/// pinned memory.
std::unique_ptr<Method> make_packed(const Exchange& exchange, const Buffers& buffers);
/// Gather kernel, copies from the other ranks' send buffers by CUDA IPC, scatter kernel. One node only.
std::unique_ptr<Method> make_ipc(const Exchange& exchange, const Buffers& buffers);
/// The limit: a copy of as many contiguous bytes as are received.
std::unique_ptr<Method> make_copy(const Exchange& exchange, const Buffers& buffers);

}  // namespace mpix::bench::gpu
