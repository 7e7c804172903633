// SPDX-License-Identifier: BSD-3-Clause
#include "benchmarks/gpu/chosen.hpp"

#include <dlfcn.h>

#include <cstdlib>

#include "benchmarks/gpu/gpu.hpp"

namespace mpix::bench::gpu {
namespace {

std::unique_ptr<Gpu>& chosen() {
  static std::unique_ptr<Gpu> only;
  return only;
}

}  // namespace

Gpu& device() {
  if (chosen() == nullptr) throw bench::Error("no GPU was chosen");
  return *chosen();
}

bool cuda_aware() {
  const auto query = reinterpret_cast<int (*)()>(::dlsym(RTLD_DEFAULT, "MPIX_Query_cuda_support"));
  return query != nullptr && query() != 0;
}

void start(MPI_Comm comm) {
  if (chosen() != nullptr) return;
  Comm node;
  check(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, node.out()), "MPI_Comm_split_type");
  const char* const named = std::getenv("MPIX_LAYOUT_CUDA_DRIVER");
  const std::string library = named != nullptr && *named != '\0' ? named : "libcuda.so.1";
  translated([&] {
    chosen() = std::make_unique<Gpu>(library, comm_rank(node.get()));
    device().load();
  });
}

std::string description() {
  return device().name() + (cuda_aware()
                                ? "; the baselines give the MPI memory of the GPU"
                                : "; the baselines give the MPI pinned memory, as it takes none of the GPU");
}

std::byte* allocate(std::int64_t bytes) {
  return translated([&] { return device().allocate_raw(bytes); });
}
void release(std::byte* memory) noexcept {
  if (chosen() != nullptr) device().free_raw(memory);
}
void upload(std::byte* to, const std::byte* from, std::int64_t bytes) {
  translated([&] { device().upload(address(to), from, bytes); });
}
void download(std::byte* to, const std::byte* from, std::int64_t bytes) {
  translated([&] { device().download(to, address(from), bytes); });
}
void synchronize() {
  translated([] { device().synchronize(); });
}

}  // namespace mpix::bench::gpu
