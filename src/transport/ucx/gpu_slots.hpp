// SPDX-License-Identifier: BSD-3-Clause
/// Slots for chunks in the memory of GPUs: UCX sends from there and receives there, if it can without a copy
/// on the host.
#pragma once

#include <cstddef>
#include <map>
#include <memory>

#include "base/config.hpp"
#include "handle/ucx.hpp"
#include "memory/gpu_memory.hpp"
#include "transport/ucx/slots.hpp"

namespace mpix::transport::ucx {

/// With the worker's lock held.
class GpuSlots {
 public:
  GpuSlots() noexcept = default;
  /// `count` slots of `bytes` bytes each way on each GPU that asks. `memory` and `context` outlive this.
  GpuSlots(memory::GpuMemory& memory, const UcxContext& context, std::size_t count,
           std::size_t bytes) noexcept
      : memory_(&memory), context_(&context), count_(count), bytes_(bytes) {}

  /// A slot for a message to be sent by `user`, or for one that it will read. Null where there is none, or
  /// where memory of a GPU would not do.
  Slot* take_to_send(UcxWorker& worker, UcxChannel& owner, By user) noexcept;
  Slot* take_to_receive(UcxWorker& worker, UcxChannel& owner, By user) noexcept;
  /// Copies what a slot holds to the host. Throws Error.
  void copy_to_host(const Slot& slot, std::span<std::byte> to) const {
    memory_->copy_to_host(slot.gpu, to.data(), slot.room.data(), to.size());
  }
  void disown(const UcxChannel& owner) noexcept;

 private:
  struct Pools {
    std::shared_ptr<std::byte> memory;
    UcxMemory registration;
    SlotPool sent, received;
  };
  Pools* on(UcxWorker& worker, std::uint64_t gpu) noexcept;
  std::unique_ptr<Pools> make(UcxWorker& worker, std::uint64_t gpu) const;

  memory::GpuMemory* memory_ = nullptr;
  const UcxContext* context_ = nullptr;
  std::size_t count_ = 0, bytes_ = 0;
  std::map<std::uint64_t, std::unique_ptr<Pools>> pools_;  // null: that GPU has no memory for it
  bool gone_ = false;  // memory went with its context: UCX may take what comes to lie there for the same
};

}  // namespace mpix::transport::ucx
