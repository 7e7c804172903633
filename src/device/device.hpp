// SPDX-License-Identifier: BSD-3-Clause
/// What the engine asks of GPUs: kinds of memory, copies between layouts that run beside the host, memory of
/// other processes. The seam behind which CUDA lies; a build without it has no implementation.
///
/// Nothing here waits for a device or for a stream of the application, but for Queue::wait, which waits for
/// this library's own work.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/config.hpp"
#include "base/status.hpp"
#include "kernels/blocks.hpp"
#include "memory/gpu_memory.hpp"
#include "memory/regions.hpp"

namespace mpix::device {

enum class Kind : std::uint32_t {
  host,     ///< of which no GPU knows
  pinned,   ///< host memory that GPUs can use
  managed,  ///< migrates between host and GPU
  device,   ///< of one GPU
};

/// What is known of an address.
struct Facts {
  Kind kind = Kind::host;
  int ordinal = -1;          ///< the GPU; -1 for host memory of which no GPU knows
  std::uint64_t buffer = 0;  ///< distinct for every allocation that a GPU knows of, never used again

  /// Whether the host must leave it to the GPU.
  bool needs_gpu() const noexcept { return kind == Kind::device || kind == Kind::managed; }
};

/// Work of a Queue: done once its number has been reached; 0 is done from the start.
using Ticket = std::uint64_t;

/// Device memory of a process, for other processes of the node. Trivially copyable.
struct IpcPlace {
  std::array<std::byte, 64> handle{};  ///< of the allocation
  std::uint64_t buffer = 0;            ///< Facts::buffer in the process that owns it
  std::uint64_t base = 0;              ///< the allocation's address there
  std::uint64_t bytes = 0;             ///< its size
  std::int64_t offset = 0;             ///< of the place in the allocation
  std::int32_t pid = 0;
  std::int32_t reserved = 0;
};

/// Blocks whose lists a GPU can read. May be sent to other processes: see Mirror::exported.
struct BlocksPlace {
  kernels::Blocks blocks;       ///< its pointers mean nothing
  std::uint64_t alignment = 0;  ///< all offsets, lengths and strides, joined by `or`
  std::int64_t dims = -1, offsets = -1, ends = -1, coarse = -1;  ///< in the mirror's memory; -1: none
};

/// The lists of several Blocks in the memory of one GPU.
class Mirror {
 public:
  virtual ~Mirror() = default;
  virtual int ordinal() const noexcept = 0;
  virtual const BlocksPlace& operator[](std::size_t index) const noexcept = 0;
  /// Bytes of device memory.
  virtual std::int64_t memory() const noexcept = 0;
  /// The mirror's memory for other processes; none where it cannot be exported, or where there are no lists
  /// and thus no memory (`has_lists()`).
  virtual std::optional<IpcPlace> place() const noexcept = 0;
  virtual bool has_lists() const noexcept = 0;
  /// When the lists are there for others than the queue that made the mirror.
  virtual Ticket ticket() const noexcept = 0;
};

/// Offsets of blocks in the memory of a GPU, made of indices there.
class Offsets {
 public:
  virtual ~Offsets() = default;
  virtual kernels::GpuOffsets place() const noexcept = 0;
  /// The smallest and the largest index.
  virtual std::int64_t least() const noexcept = 0;
  virtual std::int64_t most() const noexcept = 0;
  /// Copies all of them to the host; complete on return, as Gpus::read is. Throws Error.
  virtual void read(std::span<std::int64_t> to) const = 0;
};

/// Memory of another process, mapped as long as this lives.
class Imported {
 public:
  virtual ~Imported() = default;
  /// Of the IpcPlace.
  virtual std::byte* data() const noexcept = 0;
};

/// One side of a copy: `blocks` of the buffer at `base`, from position `start` on. The description has to
/// last for the call only, the memory and the lists until the copy is done.
struct Side {
  const std::byte* base = nullptr;
  const BlocksPlace* blocks = nullptr;
  /// Where the lists of `blocks` lie: in a mirror of this process, or in one that was imported.
  const Mirror* mirror = nullptr;
  const std::byte* lists = nullptr;
  std::int64_t start = 0;
};

/// Bytes [data, data + bytes) of flat memory belong to position `offset` on.
struct Entry {
  std::int64_t data = 0, bytes = 0, offset = 0;
};

struct QueueTraffic {
  std::int64_t launches = 0;  ///< of kernels
  std::int64_t bounced = 0;   ///< bytes that took a copy on the host because no GPU reaches their memory
};

/// Copies of one engine by one GPU, one after the other. Not thread-safe. Copies are collected until flush(),
/// which starts all of them at once; those of one flush run in any order, those of later flushes after them.
/// Host memory that is named stays as it is until the ticket is done. std::nullopt means "not now": try again
/// after progress().
class Queue {
 public:
  virtual ~Queue() = default;
  virtual int ordinal() const noexcept = 0;
  /// Of the context that it works in: above 0, of no other and never used again.
  virtual std::uint64_t number() const noexcept = 0;

  /// Does what later copies may need and what could wait for a stream of the application.
  virtual void prepare() noexcept = 0;

  /// Blocks of device memory to flat host memory, and back.
  virtual std::optional<Ticket> gather(const Side& from, std::byte* out, std::size_t bytes) noexcept = 0;
  virtual std::optional<Ticket> scatter(const Side& to, const std::byte* in, std::size_t bytes) noexcept = 0;
  /// Flat host memory at `in` to pieces of blocks, listed by ascending `data`.
  virtual std::optional<Ticket> scatter_entries(const Side& to, const std::byte* in,
                                                std::span<const Entry> entries) noexcept = 0;
  /// From blocks to blocks, both in memory that this GPU reaches.
  virtual std::optional<Ticket> copy(const Side& to, const Side& from, std::int64_t bytes) noexcept = 0;

  /// Starts what was collected; where nothing can be started now, progress() does that later.
  virtual void flush() noexcept = 0;
  /// Whether copies were collected since the last flush().
  virtual bool collected() const noexcept = 0;
  /// Launches that are not done.
  virtual int under_way() const noexcept = 0;
  /// Looks for what has been done; returns whether anything has.
  virtual bool progress() noexcept = 0;
  virtual bool done(Ticket ticket) const noexcept = 0;
  /// flush(), then waits until everything has been done; of a queue that has failed, until nothing is under
  /// way any more.
  virtual void wait() noexcept = 0;
  /// Not ok once the GPU has failed: then it is never "now", and no more gets done.
  virtual const Status& error() const noexcept = 0;
  virtual const QueueTraffic& traffic() const noexcept = 0;

  /// Copies the lists of `blocks` (null: an empty entry) to the GPU, in this queue's order; those that it has
  /// by Blocks::on_gpu, from there. Throws Error (no_memory, internal).
  virtual std::shared_ptr<const Mirror> mirror(std::span<const kernels::Blocks* const> blocks) = 0;
};

/// A point in a stream of the application.
class Mark {
 public:
  virtual ~Mark() = default;
  /// Whether the stream has come to it. Status where the GPU has failed.
  virtual bool reached(Status& status) noexcept = 0;
};

/// A place in a stream of the application where it waits until release().
class Hold {
 public:
  virtual ~Hold() = default;
  virtual void release() noexcept = 0;
};

/// All GPUs of the process. Thread-safe.
class Gpus : public memory::GpuMemory {
 public:
  /// What `address` is. Makes no context and does not initialise the driver: where the application has not,
  /// all memory is the host's.
  virtual Facts look(const void* address) noexcept = 0;
  /// Of the queue for memory of these facts: Queue::number(). Throws Error.
  virtual std::uint64_t number_of(const Facts& facts) = 0;
  /// A queue on the GPU of `facts`, in the context that its memory belongs to. Throws Error.
  virtual std::unique_ptr<Queue> make_queue(const Facts& facts) = 0;

  /// Copies `bytes` bytes of memory of these facts to the host; complete on return. For set-up: waits for
  /// this copy, in a stream of its own. Throws Error.
  virtual void read(void* to, const void* from, std::size_t bytes, const Facts& facts) = 0;

  /// Multiplies `count` > 0 indices, in device memory of these facts, by `extent`; complete on return, by a
  /// stream of its own. Throws Error.
  virtual std::shared_ptr<const Offsets> make_offsets(const std::int64_t* indices, std::int64_t count,
                                                      std::int64_t extent, const Facts& facts) = 0;

  /// The allocation around `address` for other processes; none where it cannot be exported.
  virtual std::optional<IpcPlace> export_place(const void* address, const Facts& facts) noexcept = 0;
  /// Maps memory of another process for queues of that number, or finds it among the mappings that are kept.
  /// Throws Error (peer) with the reason; one is that another context on the GPU imports: drivers map a
  /// process's memory once for each GPU.
  virtual std::shared_ptr<const Imported> import(std::uint64_t number, const IpcPlace& place) = 0;
  /// A small allocation on `ordinal` with which other processes find out whether import works; none where it
  /// cannot be exported.
  virtual std::optional<IpcPlace> probe(int ordinal) noexcept = 0;

  /// `stream`: a CUstream of the application. Throw Error.
  virtual std::unique_ptr<Mark> mark(void* stream) = 0;
  virtual std::unique_ptr<Hold> hold(void* stream) = 0;

  /// In words, for mpix_layout_info and logs.
  virtual std::string description() const = 0;
};

/// The process's GPUs; null where this build has no CUDA, or the machine no driver, or the configuration says
/// no. `why`: set to the reason then. `regions`: staging memory that they may pin; outlives them.
std::unique_ptr<Gpus> find_gpus(const Config& config, memory::Regions& regions, std::string& why) noexcept;

}  // namespace mpix::device
