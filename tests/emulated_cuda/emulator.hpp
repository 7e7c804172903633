// SPDX-License-Identifier: BSD-3-Clause
/// An emulated CUDA driver: a library with the driver's functions, whose GPUs are host memory that the host
/// cannot touch, and whose streams are threads that take their time. For tests without a GPU; what an
/// application may not do with a real one fails here too.
///
/// Environment: EMULATED_CUDA_DEVICES=N (default 1), EMULATED_CUDA_NO_PEER=1 (GPUs do not reach each other),
/// EMULATED_CUDA_DELAY_US=N (an operation of a stream begins up to N us late, default 100),
/// EMULATED_CUDA_SEED=N, EMULATED_CUDA_FAIL=FUNCTION[:N],... (from its N-th call on the function fails).
#pragma once

#include <cuda.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#define EMULATED extern "C" __attribute__((visibility("default")))

/// At the start of each function: counts the call, and fails where the environment or an earlier error says
/// so.
#define EMULATED_CALL(name, failure)                                     \
  do {                                                                   \
    const CUresult result_ = ::emulated::driver().enter(#name, failure); \
    if (result_ != CUDA_SUCCESS) return result_;                         \
  } while (false)

struct CUctx_st {
  int ordinal = 0;
  unsigned long long id = 0;
};

namespace emulated {

/// What an address belongs to.
enum class Kind { device, managed, pinned, registered };

/// Memory of a GPU: a file that is mapped twice, where the GPU has it and the host must not touch it, and
/// where the emulator works on it. Imported blocks are files of other processes.
struct Block {
  int fd = -1;
  std::uint64_t inode = 0;
  std::size_t bytes = 0;       ///< behind the header
  std::byte* place = nullptr;  ///< not accessible
  std::byte* alias = nullptr;  ///< the header, then the same bytes
  bool imported = false;
  std::uint64_t buffer = 0;  ///< imported: the allocation, each of which is mapped by itself
  std::size_t uses = 0;

  static constexpr std::size_t kHeader = std::size_t{64} << 10;
  /// Numbers of the allocations that live, so that other processes notice stale handles.
  std::uint64_t* slots() const { return reinterpret_cast<std::uint64_t*>(alias); }
  static constexpr std::size_t kSlots = kHeader / sizeof(std::uint64_t);
  ~Block();
};

struct Allocation {
  Kind kind = Kind::device;
  int ordinal = 0;
  std::uintptr_t address = 0;
  std::size_t bytes = 0;
  std::uint64_t buffer = 0;
  bool pool = false;
  CUcontext context = nullptr;
  std::shared_ptr<Block> block;  ///< device only
  std::size_t slot = 0;
  std::size_t opened = 0;  ///< imported: how often

  /// Where the emulator finds an address of the allocation.
  std::byte* at(std::uintptr_t where) const {
    if (kind != Kind::device) return reinterpret_cast<std::byte*>(where);
    return block->alias + Block::kHeader + (where - reinterpret_cast<std::uintptr_t>(block->place));
  }
};

/// Operations, done one after the other by a thread. `submitted` and `completed` count them.
struct Stream {
  CUcontext context = nullptr;
  bool blocking = true;  ///< waits for the default stream, and that for it
  std::deque<std::function<void()>> operations;
  std::uint64_t submitted = 0, completed = 0;
  bool running = false;
};
using StreamPointer = std::shared_ptr<Stream>;

struct Driver {
  std::mutex mutex;                 ///< of everything here
  std::condition_variable changed;  ///< of streams
  bool initialised = false;
  CUresult error = CUDA_SUCCESS;  ///< after an illegal access
  std::vector<std::unique_ptr<CUctx_st>> primary;
  std::map<std::uintptr_t, Allocation> allocations;  ///< by address
  std::vector<std::shared_ptr<Block>> blocks;
  std::uint64_t next_buffer = 1;
  StreamPointer default_stream = std::make_shared<Stream>();
  std::vector<StreamPointer> streams;
  std::map<std::string, std::uint64_t> calls;
  std::map<std::string, std::uint64_t> failing;  ///< from which call on
  std::uint64_t delay = 100;
  std::mt19937_64 random;

  Driver();
  CUresult enter(const char* name, CUresult failure);

  // With the mutex held:
  Allocation* find(std::uintptr_t address);
  /// Whether the address lies where only GPUs have memory.
  bool is_device_place(std::uintptr_t address);
  /// Where the emulator finds [address, address + bytes); null where that is no one allocation. Memory of
  /// which no GPU knows is found for copies, not for kernels.
  std::byte* resolve(std::uintptr_t address, std::size_t bytes, bool kernel);
  /// From now on every call fails.
  void illegal(const std::string& what);
};

/// The only one; never destroyed, since threads may outlive main().
Driver& driver();
int device_count();
/// The current context of the calling thread.
CUcontext current();

/// The stream behind a handle; null where there is none.
StreamPointer stream_of(CUstream handle);
/// Adds an operation; it runs without the mutex. Returns the number after which it is done.
std::uint64_t submit(const StreamPointer& stream, std::function<void()> operation);
/// Waits until `count` operations are done.
void await(const StreamPointer& stream, std::uint64_t count);
/// Waits for all streams, as the driver does before it frees memory.
void await_all();
/// A pause of random length.
void dawdle();

/// Copies between any memory, at once; for operations of streams.
void copy_now(std::uintptr_t to, std::uintptr_t from, std::size_t bytes);

}  // namespace emulated
