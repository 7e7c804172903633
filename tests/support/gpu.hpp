// SPDX-License-Identifier: BSD-3-Clause
/// An application's use of a GPU, for tests: the driver of MPIX_LAYOUT_CUDA_DRIVER, real or emulated, on
/// which MPIX_TEST_GPU=PERCENT puts that share of the buffers. Without that variable, or without CUDA, there
/// is none.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tests/support/rng.hpp"

namespace mpix::test::gpu {

/// `elsewhere`: device memory of another context of the same GPU.
enum class Memory { device, managed, pinned, pooled, elsewhere };

/// Buffers of a hundred that are to be a GPU's; 0 where there is none.
int share();
/// Whether the driver is the emulated one.
bool emulated();

/// Throw std::runtime_error where the driver fails. `kind` as for allocate.
void* allocate(Memory kind, std::size_t bytes);
void release(Memory kind, void* memory);
/// Copies that are complete on return.
void upload(void* to, const void* from, std::size_t bytes);
void download(void* to, const void* from, std::size_t bytes);

/// Destroys the other context, in which no memory may be left; the next allocation makes a new one.
void drop_other_context();

/// A stream of the application, with operations that take their time.
class Stream {
 public:
  Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream();

  void* get() const { return stream_; }
  void copy(void* to, const void* from, std::size_t bytes);
  /// Whether everything has been done.
  bool idle() const;
  void synchronize();

 private:
  void* stream_ = nullptr;
};

/// Calls of a driver's function so far; 0 on a real driver.
std::uint64_t calls(const char* name);

}  // namespace mpix::test::gpu
