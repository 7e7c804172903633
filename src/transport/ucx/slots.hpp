// SPDX-License-Identifier: BSD-3-Clause
/// Staging memory in slots of one size, each with what must live until UCX is done with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "handle/ucx.hpp"
#include "memory/regions.hpp"
#include "transport/ucx/wire.hpp"

namespace mpix::transport::ucx {

struct Endpoint;
class UcxChannel;
class UcxWorker;
class SlotPool;

/// One message on its way.
struct Slot {
  std::span<std::byte> room;  ///< for the payload
  SlotPool* pool = nullptr;
  UcxWorker* worker = nullptr;
  UcxChannel* owner = nullptr;    ///< null once the channel is gone
  Endpoint* endpoint = nullptr;   ///< by which it is sent
  bool awaited = true;            ///< flushed() waits until it has left
  bool unmet = false;             ///< taken by a writer who does not know that the peer takes part
  bool unasked = false;           ///< the peer may not take part, and make no progress, when it comes
  std::uint64_t gpu = By::kNone;  ///< in whose memory the room lies
  ucs_memory_type_t type = UCS_MEMORY_TYPE_HOST;
  ucp_mem_h registration = nullptr;  ///< of the room; null for UCX to look for one
  std::uint64_t sequence = 0;        ///< of the chunk that is received here
  alignas(AnnouncedChunkMessage) std::byte header[sizeof(AnnouncedChunkMessage)]{};
  std::size_t header_bytes = 0;

  template <typename Message>
  void set_header(const Message& message) noexcept {
    static_assert(sizeof(Message) <= sizeof(header));
    std::memcpy(header, &message, sizeof(Message));
    header_bytes = sizeof(Message);
  }
};

/// Slots are handed out last in, first out, so that a few of them stay in the caches.
class SlotPool {
 public:
  SlotPool() noexcept = default;
  SlotPool(const SlotPool&) = delete;
  SlotPool& operator=(const SlotPool&) = delete;

  /// Adds `count` slots of `bytes` bytes (0: headers only). Throws Error, std::bad_alloc.
  void add(UcxWorker& worker, const UcxContext& context, std::size_t count, std::size_t bytes);
  /// Adds `count` slots as `model`, which together have `memory`; that outlives the pool. Throws
  /// std::bad_alloc.
  void add(UcxWorker& worker, const Slot& model, std::span<std::byte> memory, std::size_t count);
  std::size_t size() const noexcept { return slots_.size(); }
  bool all_free() const noexcept { return free_.size() == slots_.size(); }

  /// A slot for `owner`, or null while none is free. Those for peers that may not take part yet get at most
  /// half of all: they may stay here until peers that are late for one exchange take part in it, and these
  /// may be waiting for another one.
  Slot* take(UcxChannel& owner, bool unmet = false) noexcept;
  void give(Slot& slot) noexcept;
  /// Lets go of a channel that ends before its messages.
  void disown(const UcxChannel& owner) noexcept;

 private:
  std::vector<UcxMemory> memory_;
  std::vector<memory::Regions::Entry> regions_;  // of memory_
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<Slot*> free_;
  std::size_t unmet_ = 0;  // slots
};

}  // namespace mpix::transport::ucx
