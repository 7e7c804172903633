// SPDX-License-Identifier: BSD-3-Clause
#include "kernels/host.hpp"

#include "kernels/host/isa.hpp"

namespace mpix::kernels {
namespace {

#if defined(__x86_64__) || defined(__i386__)
bool has_avx512() noexcept {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl");
}

bool has_avx2() noexcept {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2");
}
#else
bool has_avx512() noexcept {
  return false;
}
bool has_avx2() noexcept {
  return false;
}
#endif

}  // namespace

const HostKernels* host_kernels(std::string_view name) noexcept {
  const bool any = name == "auto";
  if ((any || name == "avx512") && has_avx512() && avx512_kernels() != nullptr) return avx512_kernels();
  if ((any || name == "avx2") && has_avx2() && avx2_kernels() != nullptr) return avx2_kernels();
  if (any || name == "portable") return portable_kernels();
  return nullptr;
}

}  // namespace mpix::kernels
