// SPDX-License-Identifier: BSD-3-Clause
/// The machine's limit: a contiguous copy, with streaming stores where the data exceeds the caches.
/// Deliberately apart from the library's kernels.
#include <algorithm>
#include <cstring>

#include "benchmarks/common/methods.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace mpix::bench {
namespace {

constexpr std::int64_t kStreamingFrom = std::int64_t{1} << 20;

#if defined(__x86_64__)

__attribute__((target("avx512f"))) void stream_avx512(std::byte* to, const std::byte* from,
                                                      std::size_t bytes) {
  for (std::size_t at = 0; at < bytes; at += 256) {
    const __m512i a = _mm512_loadu_si512(from + at);
    const __m512i b = _mm512_loadu_si512(from + at + 64);
    const __m512i c = _mm512_loadu_si512(from + at + 128);
    const __m512i d = _mm512_loadu_si512(from + at + 192);
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + at), a);
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + at + 64), b);
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + at + 128), c);
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + at + 192), d);
  }
  _mm_sfence();
}

void stream_sse2(std::byte* to, const std::byte* from, std::size_t bytes) {
  for (std::size_t at = 0; at < bytes; at += 16) {
    const __m128i word = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + at));
    _mm_stream_si128(reinterpret_cast<__m128i*>(to + at), word);
  }
  _mm_sfence();
}

/// `to` is at a multiple of 64 bytes.
void stream(std::byte* to, const std::byte* from, std::size_t bytes) {
  static const bool wide = __builtin_cpu_supports("avx512f") != 0;
  const std::size_t whole = bytes / 256 * 256;
  if (wide) {
    stream_avx512(to, from, whole);
  } else {
    stream_sse2(to, from, whole);
  }
  std::memcpy(to + whole, from + whole, bytes - whole);
}

#else

void stream(std::byte* to, const std::byte* from, std::size_t bytes) {
  std::memcpy(to, from, bytes);
}

#endif

class Copy : public Method {
 public:
  Copy(const Exchange& exchange, const Buffers& buffers)
      : recv_(buffers.recv.data()),
        bytes_(total_bytes(exchange.recv)),
        own_(buffers.send.size() < kLeastSource ? kLeastSource : 0, Memory::malloc),
        send_(buffers.send.size() < kLeastSource ? own_.data() : buffers.send.data()),
        source_bytes_(std::max(buffers.send.size(), kLeastSource) / 64 * 64) {}

  const char* name() const override { return "copy"; }
  bool delivers() const override { return false; }

  void run() override {
    // The send buffer may be the smaller one: of tokens that go to several experts it holds one copy.
    for (std::int64_t at = 0; at < bytes_; at += source_bytes_) {
      const auto part = static_cast<std::size_t>(std::min(source_bytes_, bytes_ - at));
      if (bytes_ >= kStreamingFrom) {
        stream(recv_ + at, send_, part);
      } else {
        std::memcpy(recv_ + at, send_, part);
      }
    }
  }

  MPI_Request start() override {
    run();
    return MPI_REQUEST_NULL;
  }

 private:
  /// A send buffer of fewer bytes is no source: a rank may send next to nothing and receive much.
  static constexpr std::int64_t kLeastSource = std::int64_t{1} << 20;

  std::byte* recv_;
  std::int64_t bytes_;
  Buffer own_;
  std::byte* send_;
  std::int64_t source_bytes_;
};

}  // namespace

std::unique_ptr<Method> make_copy(const Exchange& exchange, const Buffers& buffers) {
  return std::make_unique<Copy>(exchange, buffers);
}

}  // namespace mpix::bench
