// SPDX-License-Identifier: BSD-3-Clause
/// The loops for any processor. On x86 the baseline's SSE2 gives them streaming stores; elsewhere standard
/// C++ has none, and ordinary stores serve for both.
#include "kernels/host/isa.hpp"
#include "kernels/host/loops.hpp"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace mpix::kernels {
namespace {

#if defined(__SSE2__)
using Quarter = __m128i;
Quarter load_quarter(const std::byte* p) {
  return _mm_loadu_si128(reinterpret_cast<const Quarter*>(p));
}
void store_quarter(std::byte* p, Quarter v) {
  _mm_storeu_si128(reinterpret_cast<Quarter*>(p), v);
}
void stream_quarter(std::byte* p, Quarter v) {
  _mm_stream_si128(reinterpret_cast<Quarter*>(p), v);
}
#else
struct Quarter {
  std::uint64_t low, high;
};
Quarter load_quarter(const std::byte* p) {
  Quarter v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
void store_quarter(std::byte* p, Quarter v) {
  __builtin_memcpy(p, &v, sizeof v);
}
void stream_quarter(std::byte* p, Quarter v) {
  store_quarter(p, v);
}
#endif

struct Portable {
  struct Half {
    Quarter low, high;
  };
  struct Line {
    Half low, high;
  };

  static Half load_half(const std::byte* p) { return {load_quarter(p), load_quarter(p + 16)}; }
  static void store_half(std::byte* p, Half v) {
    store_quarter(p, v.low);
    store_quarter(p + 16, v.high);
  }
  static Line load_line(const std::byte* p) { return {load_half(p), load_half(p + 32)}; }
  static void store_line(std::byte* p, Line v) {
    store_half(p, v.low);
    store_half(p + 32, v.high);
  }
  static void stream_line(std::byte* p, Line v) {
    stream_quarter(p, v.low.low);
    stream_quarter(p + 16, v.low.high);
    stream_quarter(p + 32, v.high.low);
    stream_quarter(p + 48, v.high.high);
  }
  static void fence() {
#if defined(__SSE2__)
    _mm_sfence();
#endif
  }
};

}  // namespace

const HostKernels* portable_kernels() noexcept {
  static constexpr HostKernels table = host::Loops<Portable>::table("portable");
  return &table;
}

}  // namespace mpix::kernels
