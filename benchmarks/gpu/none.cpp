// SPDX-License-Identifier: BSD-3-Clause
#include "benchmarks/gpu/gpu.hpp"

namespace mpix::bench::gpu {
namespace {

[[noreturn]] void refuse() {
  throw Error("-d cuda: these benchmarks were built without CUDA (configure --with-cuda)");
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
std::unique_ptr<Method> make_packed(const Exchange&, const Buffers&) {
  refuse();
}
std::unique_ptr<Method> make_ipc(const Exchange&, const Buffers&) {
  refuse();
}
std::unique_ptr<Method> make_copy(const Exchange&, const Buffers&) {
  refuse();
}

}  // namespace mpix::bench::gpu
