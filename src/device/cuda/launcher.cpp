// SPDX-License-Identifier: BSD-3-Clause
#include "device/cuda/launcher.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

namespace mpix::device::cuda {

using kernels::device::Batch;
using kernels::device::kInlineJobs;
using kernels::device::kThreads;
using kernels::device::kTileBytes;

namespace {

constexpr std::size_t kJobBytes = sizeof(kernels::device::Job) + sizeof(std::int64_t);
constexpr std::int64_t kMaxGrid = std::numeric_limits<std::int32_t>::max();

}  // namespace

Launcher::Launcher(const CudaContextPointer& context, CUfunction function)
    : context_(context), function_(function), stream_(create_cuda_stream(context)) {
  for (CudaEvent& event : events_) event = create_cuda_event(context);
  for (Table& table : tables_) table.memory = allocate_cuda_pinned(context, kMaxJobs * kJobBytes);
  device_table_ = allocate_cuda_memory(context, kMaxJobs * kJobBytes);
  ranges_.reserve(kMaxJobs);
}

bool Launcher::room(std::size_t jobs) const noexcept {
  if (launched_ - done_ >= kInFlight) return false;
  return jobs <= static_cast<std::size_t>(kInlineJobs) ||
         std::any_of(tables_.begin(), tables_.end(), [&](const Table& t) { return t.user <= done_; });
}

void Launcher::cut(std::span<const Job> jobs, std::int64_t* first_tile) noexcept {
  ranges_.clear();
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const std::int64_t tiles = (jobs[i].bytes - 1) / kTileBytes + 1;
    if (ranges_.empty() || ranges_.back().tiles > kMaxGrid - tiles) ranges_.push_back({i, i, 0});
    Range& range = ranges_.back();
    first_tile[i] = range.tiles;
    range.tiles += tiles;
    range.end = i + 1;
  }
}

CUresult Launcher::run(Batch& batch, std::int64_t tiles) noexcept {
  void* parameters[] = {&batch};
  return context_->driver().cuLaunchKernel(function_, static_cast<unsigned>(tiles), 1, 1, kThreads, 1, 1, 0,
                                           stream_.get(), parameters, nullptr);
}

CUresult Launcher::launch_inline(std::span<const Job> jobs) noexcept {
  std::int64_t first_tile[kInlineJobs];
  cut(jobs, first_tile);
  for (const Range& range : ranges_) {
    Batch batch{};
    batch.njobs = static_cast<std::int64_t>(range.end - range.begin);
    std::copy_n(jobs.data() + range.begin, batch.njobs, batch.inline_jobs);
    std::copy_n(first_tile + range.begin, batch.njobs, batch.inline_first);
    const CUresult result = run(batch, range.tiles);
    if (result != CUDA_SUCCESS) return result;
  }
  return CUDA_SUCCESS;
}

CUresult Launcher::launch_table(std::span<const Job> jobs, Table& table) noexcept {
  table.user = launched_ + 1;
  auto* const memory = static_cast<std::byte*>(table.memory.get());
  std::memcpy(memory, jobs.data(), jobs.size_bytes());
  cut(jobs, reinterpret_cast<std::int64_t*>(memory + jobs.size_bytes()));
  CUresult result = context_->driver().cuMemcpyHtoDAsync(device_table_.get(), memory, jobs.size() * kJobBytes,
                                                         stream_.get());
  const auto* const table_jobs = reinterpret_cast<const Job*>(device_table_.get());
  const auto* const first_tile = reinterpret_cast<const std::int64_t*>(table_jobs + jobs.size());
  for (std::size_t i = 0; i < ranges_.size() && result == CUDA_SUCCESS; ++i) {
    const Range& range = ranges_[i];
    Batch batch{};
    batch.jobs = table_jobs + range.begin;
    batch.first_tile = first_tile + range.begin;
    batch.njobs = static_cast<std::int64_t>(range.end - range.begin);
    result = run(batch, range.tiles);
  }
  return result;
}

CUresult Launcher::record() noexcept {
  const CudaEvent& event = events_[launched_ % kInFlight];
  const CUresult result = context_->driver().cuEventRecord(event.get(), stream_.get());
  if (result == CUDA_SUCCESS) ++launched_;
  return result;
}

CUresult Launcher::launch(std::span<const Job> jobs, std::span<const Handed> handed) noexcept {
  const CudaScope scope(*context_);
  CUresult result = scope.result();
  for (std::size_t i = 0; i < handed.size() && result == CUDA_SUCCESS; ++i)
    result =
        context_->driver().cuMemcpyHtoDAsync(handed[i].to, handed[i].from, handed[i].bytes, stream_.get());
  if (result != CUDA_SUCCESS) return result;
  if (jobs.size() <= static_cast<std::size_t>(kInlineJobs)) {
    result = launch_inline(jobs);
  } else {
    const auto table =
        std::find_if(tables_.begin(), tables_.end(), [&](const Table& t) { return t.user <= done_; });
    result = launch_table(jobs, *table);
  }
  return result == CUDA_SUCCESS ? record() : result;
}

CUresult Launcher::upload(CUdeviceptr to, std::span<const std::byte> from,
                          std::span<const ListCopy> lists) noexcept {
  const CudaScope scope(*context_);
  if (scope.result() != CUDA_SUCCESS) return scope.result();
  const CudaDriver& driver = context_->driver();
  CUresult result = CUDA_SUCCESS;
  if (!from.empty()) result = driver.cuMemcpyHtoDAsync(to, from.data(), from.size(), stream_.get());
  for (std::size_t i = 0; i < lists.size() && result == CUDA_SUCCESS; ++i)
    result = driver.cuMemcpyAsync(to + lists[i].to, reinterpret_cast<CUdeviceptr>(lists[i].from),
                                  lists[i].bytes, stream_.get());  // they may be another context's
  return result == CUDA_SUCCESS ? record() : result;
}

CUresult Launcher::poll() noexcept {
  if (done_ == launched_) return CUDA_SUCCESS;
  const CudaScope scope(*context_);
  CUresult result = scope.result();
  while (result == CUDA_SUCCESS && done_ < launched_) {
    result = context_->driver().cuEventQuery(events_[done_ % kInFlight].get());
    if (result == CUDA_SUCCESS) ++done_;
  }
  return result == CUDA_ERROR_NOT_READY ? CUDA_SUCCESS : result;
}

CUresult Launcher::synchronize() noexcept {
  const CudaScope scope(*context_);
  if (scope.result() != CUDA_SUCCESS) return scope.result();
  return context_->driver().cuStreamSynchronize(stream_.get());
}

}  // namespace mpix::device::cuda
