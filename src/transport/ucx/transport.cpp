// SPDX-License-Identifier: BSD-3-Clause
#include "transport/ucx/transport.hpp"

#include <sched.h>

#include <algorithm>
#include <chrono>

#include "base/log.hpp"
#include "base/text.hpp"

namespace mpix::transport::ucx {
namespace {

constexpr std::chrono::seconds kFlushingTime{10};

}  // namespace

UcxTransport::UcxTransport(std::shared_ptr<UcxWorker> worker, int rank, std::uint64_t communicator,
                           AddressOf address_of)
    : worker_(std::move(worker)),
      rank_(rank),
      communicator_(communicator),
      address_of_(std::move(address_of)) {
  const auto lock = worker_->lock();
  worker_->add_transport(lock, communicator_, *this);
}

UcxTransport::~UcxTransport() {
  const auto lock = worker_->lock();
  for (auto& [peer, channel] : channels_) {
    channel->close(lock);
    worker_->remove_channel(lock, *channel);
  }
  worker_->remove_transport(lock, communicator_);
}

Channel& UcxTransport::connect(int peer) {
  const auto lock = worker_->lock();
  auto& known = channels_[static_cast<std::uint64_t>(peer)];
  if (known != nullptr) return *known;
  try {
    auto channel = std::make_unique<UcxChannel>(*this, *worker_, peer);
    worker_->add_channel(lock);
    known = std::move(channel);
  } catch (...) {
    channels_.erase(static_cast<std::uint64_t>(peer));
    throw;
  }
  for (const EarlyAnnouncement& early : worker_->take_early(lock, communicator_, peer))
    if (!known->take_announcement(early.message, early.data) && early.data != nullptr)
      worker_->release(lock, early.data);
  return *known;
}

void UcxTransport::flush() noexcept {
  const auto deadline = std::chrono::steady_clock::now() + kFlushingTime;
  while (std::chrono::steady_clock::now() < deadline) {
    {
      const auto lock = worker_->lock();
      if (flushed(lock)) return;
      if (worker_->progress(lock)) continue;
    }
    sched_yield();
  }
  log::warn("messages to other nodes were not sent within ", kFlushingTime.count(), " seconds");
}

bool UcxTransport::flushed(const UcxWorker::Lock& lock) const noexcept {
  return std::all_of(channels_.begin(), channels_.end(),
                     [&](const auto& entry) { return entry.second->flushed(lock); });
}

UcxChannel* UcxTransport::find(std::uint64_t peer) const noexcept {
  const auto found = channels_.find(peer);
  return found == channels_.end() ? nullptr : found->second.get();
}

Endpoint& UcxTransport::endpoint(const UcxWorker::Lock& lock, int peer) {
  return worker_->endpoint(lock, address_of_(peer));
}

}  // namespace mpix::transport::ucx
