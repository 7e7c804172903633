// SPDX-License-Identifier: BSD-3-Clause
/// An emulated CUDA driver: a library with the driver's functions, whose GPUs are host memory that the host
/// cannot touch, and whose streams are threads that take their time. For tests without a GPU; what an
/// application may not do with a real one fails here too.
///
/// Environment: EMULATED_CUDA_DEVICES=N (default 1), EMULATED_CUDA_NO_PEER=1 (GPUs do not reach each other),
/// EMULATED_CUDA_DELAY_US=N (an operation of a stream begins up to N us late, default 100),
/// EMULATED_CUDA_SEED=N (named where something fails), EMULATED_CUDA_FAIL=FUNCTION[:N],... (from its N-th
/// call on the function fails).
///
/// emulatedCudaCalls(name) tells tests how often a function was called, emulatedCudaSeed() the seed.
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
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#define EMULATED extern "C" __attribute__((visibility("default")))

#define EMULATED_RETURN_IF(what)                                                  \
  do {                                                                            \
    if (const CUresult result_ = (what); result_ != CUDA_SUCCESS) return result_; \
  } while (false)

#define EMULATED_ENTER(text, failure) EMULATED_RETURN_IF(::emulated::driver().enter(text, failure))

/// At the start of each function: counts the call, and fails where the environment says so or the driver is
/// not initialised. The name is quoted here, before cuda.h's macros add a version to it.
#define EMULATED_CALL(name, failure) EMULATED_ENTER(#name, failure)
/// Of functions that need a current context: one that has not failed.
#define EMULATED_CONTEXT_CALL(name, failure) \
  EMULATED_ENTER(#name, failure);            \
  EMULATED_RETURN_IF(::emulated::usable(::emulated::current()))
/// Of those that no capture may see, and that may wait for everything that is under way.
#define EMULATED_WAITING_CALL(name, failure)                     \
  EMULATED_ENTER(#name, failure);                                \
  EMULATED_RETURN_IF(::emulated::usable(::emulated::current())); \
  EMULATED_RETURN_IF(::emulated::unless_captured());             \
  ::emulated::await_all();                                       \
  EMULATED_RETURN_IF(::emulated::usable(::emulated::current()))
/// Of functions on the stream `handle`: sets `stream`.
#define EMULATED_STREAM_CALL(name, failure, handle) \
  EMULATED_ENTER(#name, failure);                   \
  ::emulated::StreamPointer stream;                 \
  EMULATED_RETURN_IF(::emulated::find_stream(handle, stream))

namespace emulated {

using StreamPointer = std::shared_ptr<CUstream_st>;

/// What an address belongs to.
enum class Kind { device, managed, pinned, registered };

/// Memory of a GPU: a file, mapped where the emulator works on it. To applications it lies at `place`, where
/// nothing can be accessed. Imported blocks are files of other processes.
struct Block {
  int fd = -1;
  int ordinal = 0;
  std::uint64_t inode = 0;
  std::size_t bytes = 0;       ///< behind the header
  std::uintptr_t place = 0;    ///< among the addresses that only GPUs use
  std::byte* alias = nullptr;  ///< the header, then the bytes
  bool imported = false;
  std::uint64_t buffer = 0;  ///< imported: the allocation, each of which is mapped by itself
  std::size_t uses = 0;

  static constexpr std::size_t kHeader = std::size_t{64} << 10;
  static constexpr std::size_t kSlots = kHeader / sizeof(std::uint64_t);
  /// Numbers of the allocations that live, so that other processes notice stale handles.
  std::uint64_t slot(std::size_t number) const { return __atomic_load_n(slots() + number, __ATOMIC_ACQUIRE); }
  void set_slot(std::size_t number, std::uint64_t to) const {
    __atomic_store_n(slots() + number, to, __ATOMIC_RELEASE);
  }

  Block() = default;
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block();
  /// Maps the file, whose size is set, and finds a place. False without memory. With the mutex held.
  bool map();

 private:
  std::uint64_t* slots() const { return reinterpret_cast<std::uint64_t*>(alias); }
};

struct Allocation {
  Kind kind = Kind::device;
  int ordinal = 0;
  std::uintptr_t address = 0;
  std::size_t bytes = 0;
  std::uint64_t buffer = 0;
  bool pool = false;
  CUcontext context = nullptr;   ///< null for memory of a pool
  std::shared_ptr<Block> block;  ///< device only
  std::size_t slot = 0;
  std::size_t opened = 0;  ///< imported: how often

  /// Where the emulator finds an address of the allocation.
  std::byte* at(std::uintptr_t where) const {
    if (kind != Kind::device) return reinterpret_cast<std::byte*>(where);
    return block->alias + Block::kHeader + (where - block->place);
  }
};

/// Reached once `count` operations of a stream are done.
struct Point {
  StreamPointer stream;
  std::uint64_t count = 0;
};

struct Operation {
  std::function<void()> work;
  std::vector<Point> waits;
  bool prompt = false;  ///< takes no time of its own
};

struct Driver {
  std::mutex mutex;                 ///< of everything here, and of what contexts, streams and events hold
  std::condition_variable changed;  ///< of streams
  bool initialised = false;
  std::vector<std::unique_ptr<CUctx_st>> contexts;  ///< the primary ones first; kept when they are destroyed
  unsigned long long next_context = 1;
  std::map<std::uintptr_t, Allocation> allocations;  ///< by address
  std::vector<std::shared_ptr<Block>> blocks;
  std::uint64_t next_buffer = 1;
  std::vector<StreamPointer> streams;  ///< the default ones too; those destroyed until they are done
  std::map<std::pair<std::thread::id, CUcontext>, StreamPointer> thread_streams;
  std::map<CUevent, std::unique_ptr<CUevent_st>> events;
  std::vector<std::unique_ptr<CUmod_st>> modules;  ///< kept when they are unloaded
  std::map<std::string, std::uint64_t, std::less<>> calls;
  std::map<std::string, std::uint64_t, std::less<>> failing;  ///< from which call on
  std::uint64_t delay, seed;
  std::mt19937_64 random;

  Driver();
  CUresult enter(const char* name, CUresult failure);

  // With the mutex held:
  Allocation* find(std::uintptr_t address);
  /// Where the emulator finds [address, address + bytes); null where that is no one allocation. Kernels of
  /// `context`, if any, find only what their GPU reaches; copies find memory of which no GPU knows, too.
  std::byte* resolve(std::uintptr_t address, std::size_t bytes, CUcontext context);
  /// From now on the context of the calling stream fails.
  void illegal(const std::string& what);
};

/// The only one; never destroyed, since threads may outlive main().
Driver& driver();
int device_count();
bool peers_allowed();

/// The current context of the calling thread; null for none.
CUcontext current();
/// CUDA_SUCCESS where `context` lives and has not failed.
CUresult usable(CUcontext context);
/// The context whose stream the calling thread works for; null for none.
CUcontext& working();
/// Whether the calling thread is in a function of cuLaunchHostFunc, which may not call the driver.
bool& in_host_function();

/// Whether an address lies where only GPUs have memory, now or later.
bool is_device_place(std::uintptr_t address);

// With the mutex held:
void remember(Kind kind, const void* memory, std::size_t bytes);
/// Forgets host memory of `kind` that begins at `memory`.
bool forget(Kind kind, const void* memory);
/// Frees memory of a GPU that begins at `address`.
CUresult release(std::uintptr_t address);
/// Gives up one use of a block.
void drop(const std::shared_ptr<Block>& block);
StreamPointer make_stream(CUcontext context, bool blocking);

/// The stream behind a handle, whose context is usable.
CUresult find_stream(CUstream handle, StreamPointer& stream);
/// Adds an operation; it runs without the mutex, unless the stream's context has failed. Returns the number
/// after which it is done.
std::uint64_t submit(const StreamPointer& stream, std::function<void()> work, bool prompt = false);
/// Waits until `count` operations are done.
void await(const StreamPointer& stream, std::uint64_t count);
/// CUDA_SUCCESS unless a capture forbids the calling thread what is unsafe; the capture fails then.
CUresult unless_captured();
/// Waits for all streams, as drivers may do where memory is allocated, pinned or freed and where modules are
/// loaded, or for those of a context.
void await_all(CUcontext context = nullptr);
/// The result of something that has been `done` in the stream, or not yet.
CUresult outcome(const StreamPointer& stream, bool done);

}  // namespace emulated

struct CUctx_st {
  int ordinal = 0;
  unsigned long long id = 0;
  bool alive = false;
  int retained = 0;               ///< primary
  CUresult error = CUDA_SUCCESS;  ///< after an illegal access
  std::set<CUcontext> peers;      ///< whose memory its kernels reach
  emulated::StreamPointer default_stream;
};

/// Operations, done one after the other by a thread. `submitted` and `completed` count them.
struct CUstream_st {
  CUcontext context = nullptr;
  bool blocking = true;  ///< waits for the default stream, and that for it
  bool destroyed = false;
  bool running = false;
  CUstreamCaptureStatus capture = CU_STREAM_CAPTURE_STATUS_NONE;
  CUstreamCaptureMode capture_mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
  std::thread::id capturing;  ///< the thread that began the capture
  std::deque<emulated::Operation> operations;
  std::uint64_t submitted = 0, completed = 0;
};

struct CUevent_st {
  CUcontext context = nullptr;
  bool timed = true;
  emulated::Point point;  ///< without a stream before it is recorded
  std::shared_ptr<double> milliseconds;
};

struct CUfunc_st {
  CUmodule module = nullptr;
};

struct CUmod_st {
  CUcontext context = nullptr;
  bool loaded = true;
  CUfunc_st copy, offsets;
};
