// SPDX-License-Identifier: BSD-3-Clause
// Words that streams wait for and write.
#include <unistd.h>

#include <type_traits>

#include "emulator.hpp"

using namespace emulated;

namespace {

template <typename Word>
bool satisfied(Word found, Word wanted, unsigned int flags) {
  switch (flags & 3U) {
    case CU_STREAM_WAIT_VALUE_GEQ:
      return static_cast<std::make_signed_t<Word>>(found - wanted) >= 0;
    case CU_STREAM_WAIT_VALUE_EQ:
      return found == wanted;
    case CU_STREAM_WAIT_VALUE_AND:
      return (found & wanted) != 0;
    default:
      return static_cast<Word>(~(found | wanted)) != 0;
  }
}

/// Where the emulator finds the word. Null where the stream's context does not reach it, and where that has
/// failed.
template <typename Word>
Word* find(CUdeviceptr address) {
  const std::lock_guard guard(driver().mutex);
  if (working()->error != CUDA_SUCCESS) return nullptr;
  std::byte* const word = driver().resolve(address, sizeof(Word), working());
  if (word == nullptr) driver().illegal("a word of a stream");
  return reinterpret_cast<Word*>(word);
}

/// Looks for the word each time: it must not be freed meanwhile.
template <typename Word>
CUresult wait_value(const StreamPointer& stream, CUdeviceptr address, Word value, unsigned int flags) {
  if (address % sizeof(Word) != 0) return CUDA_ERROR_INVALID_VALUE;
  submit(stream, [=] {
    for (;;) {
      const Word* const word = find<Word>(address);
      if (word == nullptr || satisfied<Word>(__atomic_load_n(word, __ATOMIC_ACQUIRE), value, flags)) return;
      ::usleep(20);
    }
  });
  return CUDA_SUCCESS;
}

template <typename Word>
CUresult write_value(const StreamPointer& stream, CUdeviceptr address, Word value) {
  if (address % sizeof(Word) != 0) return CUDA_ERROR_INVALID_VALUE;
  submit(stream, [=] {
    if (Word* const word = find<Word>(address)) __atomic_store_n(word, value, __ATOMIC_RELEASE);
  });
  return CUDA_SUCCESS;
}

}  // namespace

EMULATED CUresult CUDAAPI cuStreamWaitValue32(CUstream handle, CUdeviceptr address, cuuint32_t value,
                                              unsigned int flags) {
  EMULATED_STREAM_CALL(cuStreamWaitValue32, CUDA_ERROR_NOT_SUPPORTED, handle);
  return wait_value<std::uint32_t>(stream, address, value, flags);
}

EMULATED CUresult CUDAAPI cuStreamWaitValue64(CUstream handle, CUdeviceptr address, cuuint64_t value,
                                              unsigned int flags) {
  EMULATED_STREAM_CALL(cuStreamWaitValue64, CUDA_ERROR_NOT_SUPPORTED, handle);
  return wait_value<std::uint64_t>(stream, address, value, flags);
}

EMULATED CUresult CUDAAPI cuStreamWriteValue32(CUstream handle, CUdeviceptr address, cuuint32_t value,
                                               unsigned int) {
  EMULATED_STREAM_CALL(cuStreamWriteValue32, CUDA_ERROR_NOT_SUPPORTED, handle);
  return write_value<std::uint32_t>(stream, address, value);
}

EMULATED CUresult CUDAAPI cuStreamWriteValue64(CUstream handle, CUdeviceptr address, cuuint64_t value,
                                               unsigned int) {
  EMULATED_STREAM_CALL(cuStreamWriteValue64, CUDA_ERROR_NOT_SUPPORTED, handle);
  return write_value<std::uint64_t>(stream, address, value);
}
