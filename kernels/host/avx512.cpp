// SPDX-License-Identifier: BSD-3-Clause
#include "kernels/host/isa.hpp"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)

#include <immintrin.h>

#include "kernels/host/loops.hpp"

namespace mpix::kernels {
namespace {

struct Avx512 {
  using Half = __m256i;
  using Line = __m512i;

  static Half load_half(const std::byte* p) { return _mm256_loadu_si256(reinterpret_cast<const Half*>(p)); }
  static void store_half(std::byte* p, Half v) { _mm256_storeu_si256(reinterpret_cast<Half*>(p), v); }
  static Line load_line(const std::byte* p) { return _mm512_loadu_si512(p); }
  static void store_line(std::byte* p, Line v) { _mm512_storeu_si512(p, v); }
  static void stream_line(std::byte* p, Line v) { _mm512_stream_si512(reinterpret_cast<Line*>(p), v); }
  static void fence() { _mm_sfence(); }
};

}  // namespace

const HostKernels* avx512_kernels() noexcept {
  static constexpr HostKernels table = host::Loops<Avx512>::table("avx512");
  return &table;
}

}  // namespace mpix::kernels

#else

namespace mpix::kernels {
const HostKernels* avx512_kernels() noexcept {
  return nullptr;
}
}  // namespace mpix::kernels

#endif
