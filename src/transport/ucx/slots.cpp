// SPDX-License-Identifier: BSD-3-Clause
#include "transport/ucx/slots.hpp"

#include "transport/ucx/worker.hpp"

namespace mpix::transport::ucx {

void SlotPool::add(UcxWorker& worker, const UcxContext& context, std::size_t count, std::size_t bytes) {
  std::span<std::byte> memory;
  if (bytes > 0) {
    memory_.reserve(memory_.size() + 1);
    memory_.emplace_back(context, count * bytes);
    memory = {memory_.back().data(), count * bytes};
    if (worker.regions() != nullptr) regions_.push_back(worker.regions()->add(memory));
  }
  add(worker, {}, memory, count);
}

void SlotPool::add(UcxWorker& worker, const Slot& model, std::span<std::byte> memory, std::size_t count) {
  const std::size_t bytes = memory.size() / count;
  slots_.reserve(slots_.size() + count);
  free_.reserve(slots_.size() + count);
  for (std::size_t i = 0; i < count; ++i) {
    slots_.push_back(std::make_unique<Slot>(model));
    Slot& slot = *slots_.back();
    slot.pool = this;
    slot.worker = &worker;
    slot.room = memory.subspan(i * bytes, bytes);
    free_.push_back(&slot);
  }
}

Slot* SlotPool::take(UcxChannel& owner, bool unmet) noexcept {
  if (free_.empty() || (unmet && unmet_ >= slots_.size() / 2)) return nullptr;
  Slot* const slot = free_.back();
  free_.pop_back();
  slot->owner = &owner;
  slot->unmet = unmet;
  unmet_ += unmet ? 1 : 0;
  return slot;
}

void SlotPool::give(Slot& slot) noexcept {
  slot.owner = nullptr;
  unmet_ -= slot.unmet ? 1 : 0;
  free_.push_back(&slot);  // within what add() reserved
}

void SlotPool::disown(const UcxChannel& owner) noexcept {
  for (const auto& slot : slots_)
    if (slot->owner == &owner) slot->owner = nullptr;
}

}  // namespace mpix::transport::ucx
