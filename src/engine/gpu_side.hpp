// SPDX-License-Identifier: BSD-3-Clause
/// Buffers of an exchange that are a GPU's: which queue moves them, and where the lists of their blocks lie.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "device/device.hpp"
#include "plan/node_send.hpp"
#include "plan/plan.hpp"
#include "transport/transport.hpp"

namespace mpix::engine {

/// One side of an exchange. Blocks are numbered as in Mirrors.
struct GpuSide {
  device::Queue* queue = nullptr;  ///< null: host memory, or memory that the host kernels may use
  const device::Mirror* mirror = nullptr;
  device::Facts facts;

  explicit operator bool() const noexcept { return queue != nullptr; }
  /// Who reads or writes chunks for this side: only a GPU, or where there is one, the host with it.
  transport::By alone() const noexcept {
    return queue != nullptr ? transport::By::gpu_alone(queue->number()) : transport::By{};
  }
  transport::By with_host() const noexcept {
    return queue != nullptr ? transport::By{queue->number(), true} : transport::By{};
  }
  /// Blocks number `index` of the buffer at `base`, from position `start` on.
  device::Side at(const std::byte* base, std::size_t index, std::int64_t start) const noexcept {
    return {base, &(*mirror)[index], mirror, nullptr, start};
  }
};

/// Where an exchange waits in a stream of the application, and where the stream waits for it.
struct OnStream {
  std::unique_ptr<device::Mark> mark;
  std::unique_ptr<device::Hold> hold;
};
/// Makes that. The stream waits from then on, so nothing that may wait for the stream is to come after it.
using Order = std::function<OnStream()>;

/// The lists of a plan's blocks on the GPUs that its exchanges have used. Both ways the blocks of pair i have
/// number i, and those for the rank itself the number after the last pair; the senders' unique ranges for
/// node route r come r + 1 later.
class Mirrors {
 public:
  const device::Mirror& send(const plan::Plan& plan, std::span<const plan::NodeSend* const> routes,
                             device::Queue& queue);
  const device::Mirror& recv(const plan::Plan& plan, device::Queue& queue);
  /// Bytes of GPU memory.
  std::int64_t memory() const noexcept;

 private:
  using ByNumber = std::map<std::uint64_t, std::shared_ptr<const device::Mirror>>;  // of queues
  ByNumber send_, recv_;
};

/// The queues of one engine, made as they are needed.
class GpuQueues {
 public:
  /// `gpus`: null where there are none; outlives this.
  explicit GpuQueues(device::Gpus* gpus) noexcept : gpus_(gpus) {}

  device::Gpus* gpus() const noexcept { return gpus_; }
  /// The queue for a buffer whose first byte in use is at `address`; null where the host moves it; sets
  /// `facts`. Throws Error.
  device::Queue* queue_for(const std::byte* address, device::Facts& facts);
  /// Whether queue_for() would have to set up a queue, which may wait for streams of the application. Throws
  /// Error.
  bool lacks_queue_for(const std::byte* address);
  /// Starts what was collected, unless enough is under way that more may be collected meanwhile; looks for
  /// what is done. Returns whether anything happened.
  bool progress() noexcept;
  device::QueueTraffic traffic() const noexcept;

 private:
  device::Gpus* gpus_;
  std::map<std::uint64_t, std::unique_ptr<device::Queue>> queues_;  // by number
};

}  // namespace mpix::engine
