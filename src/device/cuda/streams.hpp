// SPDX-License-Identifier: BSD-3-Clause
/// Points in streams of the application: reached, or held.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "device/cuda/contexts.hpp"
#include "device/cuda/disposal.hpp"
#include "device/device.hpp"

namespace mpix::device::cuda {

/// Throws Error.
std::unique_ptr<Mark> make_mark(Contexts& contexts, CUstream stream);

/// What a stream waits for.
struct Gate {
  CudaContextPointer context;
  std::atomic<std::uint32_t> open = 0;  ///< for a host function in the stream
  std::uint32_t* word = nullptr;        ///< for the GPU itself, in pinned memory; null where it cannot

  void release() noexcept;
};

/// Words in pinned memory. Not thread-safe.
class Words {
 public:
  /// Throws Error.
  std::uint32_t* take(const CudaContextPointer& context);
  void give(const CudaContextPointer& context, std::uint32_t* word) noexcept;

 private:
  struct Page {
    CudaPinned memory;
    std::vector<std::uint32_t*> free;
  };
  std::vector<Page> pages_;
};

/// Makes streams wait. Thread-safe.
class Holds {
 public:
  Holds(Contexts& contexts, std::shared_ptr<Disposal> disposal) noexcept
      : contexts_(contexts), disposal_(std::move(disposal)) {}
  Holds(const Holds&) = delete;
  Holds& operator=(const Holds&) = delete;
  ~Holds();

  /// Throws Error.
  std::unique_ptr<Hold> hold(CUstream stream);
  /// Lets all streams go.
  void open_all() noexcept;

 private:
  /// A gate is kept until its stream has passed it.
  struct Passing {
    std::shared_ptr<Gate> gate;
    CudaEvent passed;
  };
  /// Whether the GPU waits by itself, for the gate's word.
  bool wait_value(CUstream stream, Gate& gate);
  void place(CUstream stream, Gate& gate);
  void reap() noexcept;

  Contexts& contexts_;
  std::shared_ptr<Disposal> disposal_;
  std::mutex mutex_;
  Words words_;
  std::list<Passing> passing_;
};

}  // namespace mpix::device::cuda
