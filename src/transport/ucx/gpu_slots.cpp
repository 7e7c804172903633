// SPDX-License-Identifier: BSD-3-Clause
#include "transport/ucx/gpu_slots.hpp"

#include <exception>
#include <span>

#include "base/log.hpp"

namespace mpix::transport::ucx {

std::unique_ptr<GpuSlots::Pools> GpuSlots::make(UcxWorker& worker, std::uint64_t gpu) const {
  auto pools = std::make_unique<Pools>();
  const std::size_t half = count_ * bytes_;
  pools->memory = memory_->allocate(gpu, 2 * half);
  const std::span<std::byte> all(pools->memory.get(), 2 * half);
  Slot model;
  model.gpu = gpu;
  model.type = memory_->is_cuda() ? UCS_MEMORY_TYPE_CUDA : UCS_MEMORY_TYPE_HOST;
  pools->registration = UcxMemory(*context_, all, model.type);
  model.registration = pools->registration.get();
  pools->sent.add(worker, model, all.first(half), count_);
  pools->received.add(worker, model, all.last(half), count_);
  log::info("chunks between nodes lie in memory of a GPU: ", count_, " of ", bytes_, " bytes each way");
  return pools;
}

GpuSlots::Pools* GpuSlots::on(UcxWorker& worker, std::uint64_t gpu) noexcept {
  if (memory_ == nullptr || gone_ || gpu == By::kNone) return nullptr;
  try {
    if (memory_->held()) return nullptr;  // UCX may set up more for such memory at any time, and wait
    const auto [found, added] = pools_.try_emplace(gpu);
    if (added) found->second = make(worker, gpu);
    if (found->second != nullptr && !memory_->lives(gpu)) {
      log::info("chunks between nodes no longer lie in memory of GPUs: a CUDA context is gone");
      gone_ = true;
      return nullptr;
    }
    return found->second.get();
  } catch (const std::exception& error) {
    log::info("chunks between nodes do not lie in memory of a GPU: ", error.what());
    return nullptr;
  }
}

Slot* GpuSlots::take_to_send(UcxWorker& worker, UcxChannel& owner, By user) noexcept {
  Pools* const pools = user.host ? nullptr : on(worker, user.gpu);
  return pools != nullptr ? pools->sent.take(owner) : nullptr;
}

Slot* GpuSlots::take_to_receive(UcxWorker& worker, UcxChannel& owner, By user) noexcept {
  Pools* const pools = user.host ? nullptr : on(worker, user.gpu);
  return pools != nullptr ? pools->received.take(owner) : nullptr;
}

void GpuSlots::disown(const UcxChannel& owner) noexcept {
  for (const auto& [gpu, pools] : pools_) {
    if (pools == nullptr) continue;
    pools->sent.disown(owner);
    pools->received.disown(owner);
  }
}

}  // namespace mpix::transport::ucx
