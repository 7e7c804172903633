// SPDX-License-Identifier: BSD-3-Clause
#include "benchmarks/gpu/gpu.hpp"

namespace mpix::bench::gpu {
namespace {

[[noreturn]] void refuse() {
  throw Error("memory of GPUs: these benchmarks were built without CUDA (configure --with-cuda)");
}

}  // namespace

void start(MPI_Comm) {
  refuse();
}
std::string description() {
  refuse();
}
std::byte* allocate(std::int64_t) {
  refuse();
}
void release(std::byte*) noexcept {}
void upload(std::byte*, const std::byte*, std::int64_t) {
  refuse();
}
void download(std::byte*, const std::byte*, std::int64_t) {
  refuse();
}
void synchronize() {
  refuse();
}
std::unique_ptr<Movement> make_packing(const Side&, const Buffer&, const Buffer&, bool) {
  refuse();
}
std::unique_ptr<Movement> make_row_movement(const std::vector<RowCopy>&, std::int64_t, const Buffer&,
                                            const Buffer&) {
  refuse();
}
std::unique_ptr<MpiMemory> make_mpi_memory(const Buffer&) {
  refuse();
}
std::unique_ptr<Method> make_ipc(const Exchange&, const Buffers&) {
  refuse();
}
std::unique_ptr<Method> make_copy(const Exchange&, const Buffers&) {
  refuse();
}

}  // namespace mpix::bench::gpu
