// SPDX-License-Identifier: BSD-3-Clause
#include "kernels/host/isa.hpp"

#if defined(__AVX2__)

#include <immintrin.h>

#include "kernels/host/loops.hpp"

namespace mpix::kernels {
namespace {

struct Avx2 {
  using Half = __m256i;
  struct Line {
    Half low, high;
  };

  static Half load_half(const std::byte* p) { return _mm256_loadu_si256(reinterpret_cast<const Half*>(p)); }
  static void store_half(std::byte* p, Half v) { _mm256_storeu_si256(reinterpret_cast<Half*>(p), v); }
  static Line load_line(const std::byte* p) { return {load_half(p), load_half(p + 32)}; }
  static void store_line(std::byte* p, Line v) {
    store_half(p, v.low);
    store_half(p + 32, v.high);
  }
  static void stream_line(std::byte* p, Line v) {
    _mm256_stream_si256(reinterpret_cast<Half*>(p), v.low);
    _mm256_stream_si256(reinterpret_cast<Half*>(p + 32), v.high);
  }
  static void fence() { _mm_sfence(); }
};

}  // namespace

const HostKernels* avx2_kernels() noexcept {
  static constexpr HostKernels table = host::Loops<Avx2>::table("avx2");
  return &table;
}

}  // namespace mpix::kernels

#else

namespace mpix::kernels {
const HostKernels* avx2_kernels() noexcept {
  return nullptr;
}
}  // namespace mpix::kernels

#endif
