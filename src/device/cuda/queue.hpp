// SPDX-License-Identifier: BSD-3-Clause
/// Copies of one engine in one context.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "device/cuda/arena.hpp"
#include "device/cuda/jobs.hpp"
#include "device/cuda/launcher.hpp"
#include "device/cuda/mirror.hpp"
#include "device/cuda/shared.hpp"
#include "device/device.hpp"

namespace mpix::device::cuda {

class CopyQueue : public Queue {
 public:
  /// Throws Error.
  CopyQueue(std::shared_ptr<Shared> shared, CudaContextPointer context);
  CopyQueue(const CopyQueue&) = delete;
  CopyQueue& operator=(const CopyQueue&) = delete;
  ~CopyQueue() override;

  int ordinal() const noexcept override { return context_->ordinal(); }
  std::uint64_t number() const noexcept override { return context_->number(); }
  void prepare() noexcept override { shared_->pins.prepare(context_); }
  std::optional<Ticket> gather(const Side& from, std::byte* out, std::size_t bytes) noexcept override;
  std::optional<Ticket> scatter(const Side& to, const std::byte* in, std::size_t bytes) noexcept override;
  std::optional<Ticket> scatter_entries(const Side& to, const std::byte* in,
                                        std::span<const Entry> entries) noexcept override;
  std::optional<Ticket> copy(const Side& to, const Side& from, std::int64_t bytes) noexcept override;

  void flush() noexcept override;
  bool collected() const noexcept override { return !jobs_.empty(); }
  int under_way() const noexcept override {
    return error_.ok() ? static_cast<int>(launcher_->launched() - launcher_->done()) : 0;
  }
  bool progress() noexcept override;
  bool done(Ticket ticket) const noexcept override { return ticket <= done_; }
  void wait() noexcept override;
  const Status& error() const noexcept override { return error_; }
  const QueueTraffic& traffic() const noexcept override { return traffic_; }
  std::shared_ptr<const Mirror> mirror(std::span<const kernels::Blocks* const> blocks) override;

 private:
  /// Bytes in the arena that go to memory that no GPU reaches.
  struct Bounce {
    Ticket ticket;
    const std::byte* from;
    std::byte* to;
    std::size_t bytes;
  };
  struct Upload {
    Ticket ticket;
    std::vector<std::byte> from;
    std::shared_ptr<const ListMemory::Piece> to;
  };

  /// Of the jobs that are being collected.
  Ticket next() const noexcept { return launcher_->launched() + 1; }
  /// Whether one more job can be collected.
  bool room() noexcept;
  /// Where kernels find host memory; null where they do not.
  std::byte* reach(const std::byte* data, std::size_t bytes) noexcept;
  /// Pinned memory until the next launch is done; null where there is none now or the queue has failed.
  std::byte* take(std::size_t bytes) noexcept;
  void fail(Status status) noexcept;
  void check(CUresult result, const char* what) noexcept;
  void retire() noexcept;
  void upload(const std::shared_ptr<const ListMemory::Piece>& to, HostLists lists);

  std::shared_ptr<Shared> shared_;
  CudaContextPointer context_;
  std::unique_ptr<Launcher> launcher_;
  std::unique_ptr<Arena> arena_;
  std::vector<kernels::device::Job> jobs_;
  std::vector<Handed> handed_;  // for jobs_
  bool flushing_ = false;       // flush() was called when nothing could be launched
  std::deque<Bounce> bounces_;
  std::deque<Upload> uploads_;
  Ticket done_ = 0;
  Status error_;
  QueueTraffic traffic_;
};

}  // namespace mpix::device::cuda
