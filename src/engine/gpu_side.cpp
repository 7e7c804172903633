// SPDX-License-Identifier: BSD-3-Clause
#include "engine/gpu_side.hpp"

namespace mpix::engine {
namespace {

/// Launches under way beside which no further one is started, so that what comes meanwhile joins the next.
constexpr int kLaunches = 2;

}  // namespace

const device::Mirror& Mirrors::send(const plan::Plan& plan, std::span<const plan::NodeSend* const> routes,
                                    device::Queue& queue) {
  std::shared_ptr<const device::Mirror>& mirror = send_[queue.number()];
  if (mirror != nullptr) return *mirror;
  std::vector<kernels::Blocks> unique;
  unique.reserve(routes.size());
  for (const plan::NodeSend* const route : routes) unique.push_back(route->blocks());
  std::vector<const kernels::Blocks*> blocks;
  for (const plan::Pair& pair : plan.pairs) blocks.push_back(pair.send);
  blocks.push_back(plan.self.send);
  for (const kernels::Blocks& ranges : unique) blocks.push_back(&ranges);
  mirror = queue.mirror(blocks);
  return *mirror;
}

const device::Mirror& Mirrors::recv(const plan::Plan& plan, device::Queue& queue) {
  std::shared_ptr<const device::Mirror>& mirror = recv_[queue.number()];
  if (mirror != nullptr) return *mirror;
  std::vector<const kernels::Blocks*> blocks;
  for (const plan::Pair& pair : plan.pairs) blocks.push_back(pair.recv);
  blocks.push_back(plan.self.recv);
  mirror = queue.mirror(blocks);
  return *mirror;
}

std::int64_t Mirrors::memory() const noexcept {
  std::int64_t bytes = 0;
  for (const ByNumber* const side : {&send_, &recv_})
    for (const auto& [number, mirror] : *side) bytes += mirror->memory();
  return bytes;
}

device::Queue* GpuQueues::queue_for(const std::byte* address, device::Facts& facts) {
  facts = gpus_->look(address);
  if (!facts.needs_gpu()) return nullptr;
  const std::uint64_t number = gpus_->number_of(facts);
  auto found = queues_.find(number);
  if (found == queues_.end()) {
    found = queues_.emplace(number, gpus_->make_queue(facts)).first;
    (void)gpus_->probe(facts.ordinal);  // for peers, later
  }
  const Status& error = found->second->error();
  if (!error.ok()) throw Error(error.code(), std::string(error.message()));
  return found->second.get();
}

bool GpuQueues::lacks_queue_for(const std::byte* address) {
  const device::Facts facts = gpus_->look(address);
  return facts.needs_gpu() && queues_.find(gpus_->number_of(facts)) == queues_.end();
}

bool GpuQueues::progress() noexcept {
  bool happened = false;
  for (const auto& [number, queue] : queues_) {
    happened |= queue->progress();
    if (queue->collected() && queue->under_way() < kLaunches) queue->flush();
  }
  return happened;
}

device::QueueTraffic GpuQueues::traffic() const noexcept {
  device::QueueTraffic sum;
  for (const auto& [number, queue] : queues_) {
    sum.launches += queue->traffic().launches;
    sum.bounced += queue->traffic().bounced;
  }
  return sum;
}

}  // namespace mpix::engine
