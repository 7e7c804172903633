// SPDX-License-Identifier: BSD-3-Clause
/// Active messages of UCX between the ranks of one communicator.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <unordered_map>

#include "transport/transport.hpp"
#include "transport/ucx/channel.hpp"
#include "transport/ucx/worker.hpp"

namespace mpix::transport::ucx {

/// The worker's address of a peer, valid until the next call; empty where the peer has none.
using AddressOf = std::function<std::span<const std::byte>(int peer)>;

class UcxTransport final : public Transport {
 public:
  /// `communicator`: the same number on all ranks, never used again in this process. Throws std::bad_alloc.
  UcxTransport(std::shared_ptr<UcxWorker> worker, int rank, std::uint64_t communicator, AddressOf address_of);
  UcxTransport(const UcxTransport&) = delete;
  UcxTransport& operator=(const UcxTransport&) = delete;
  /// Drops what was not flushed, and whatever peers still send to this communicator.
  ~UcxTransport() override;

  const char* name() const noexcept override { return "ucx"; }
  Channel& connect(int peer) override;
  int stranger() noexcept override { return worker_->early_source(worker_->lock(), communicator_); }
  std::uint64_t arrivals() const noexcept override { return arrivals_.load(std::memory_order_acquire); }
  Status progress(bool& happened) noexcept override { return worker_->progress(happened); }

  /// Progresses until all that was sent has left this process; waits a bounded time.
  void flush() noexcept;

  // For channels and worker, with the worker's lock held:
  UcxChannel* find(std::uint64_t peer) const noexcept;
  /// Throws Error (peer), std::bad_alloc.
  Endpoint& endpoint(const UcxWorker::Lock& lock, int peer);
  int rank() const noexcept { return rank_; }
  std::uint64_t communicator() const noexcept { return communicator_; }
  void count_arrival() noexcept { arrivals_.fetch_add(1, std::memory_order_release); }

 private:
  bool flushed(const UcxWorker::Lock& lock) const noexcept;

  std::shared_ptr<UcxWorker> worker_;
  const int rank_;
  const std::uint64_t communicator_;
  AddressOf address_of_;
  std::atomic<std::uint64_t> arrivals_ = 0;
  std::unordered_map<std::uint64_t, std::unique_ptr<UcxChannel>> channels_;
};

}  // namespace mpix::transport::ucx
