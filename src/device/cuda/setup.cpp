// SPDX-License-Identifier: BSD-3-Clause
#include "device/cuda/setup.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "kernels/device/offsets.hpp"

namespace mpix::device::cuda {

using kernels::device::IndexFacts;
using kernels::device::kThreads;
using kernels::device::OffsetsTask;

namespace {

/// Of products of `extent` with the numbers that were joined.
std::uint64_t alignment_of(std::uint64_t joined, std::int64_t extent) noexcept {
  if (joined == 0 || extent == 0) return 0;
  const int zeros = std::countr_zero(joined) + std::countr_zero(static_cast<std::uint64_t>(extent));
  return std::uint64_t{1} << std::min(zeros, 63);
}

}  // namespace

SetUp::Lane& SetUp::lane(const CudaContextPointer& context) {
  lanes_.remove_if([](const Lane& lane) { return !lane.stream.context()->alive(); });
  const auto found = std::find_if(lanes_.begin(), lanes_.end(),
                                  [&](const Lane& lane) { return lane.stream.context() == context; });
  if (found != lanes_.end()) return *found;
  Lane made{create_cuda_stream(context), allocate_cuda_pinned(context, kPiece),
            allocate_cuda_memory(context, sizeof(IndexFacts))};
  lanes_.push_back(std::move(made));
  return lanes_.back();
}

/// To the lane's pinned memory, at most kPiece bytes.
void SetUp::copy_to_host(const CudaDriver& driver, Lane& lane, CUdeviceptr from, std::size_t bytes) {
  cuda_check(driver, driver.cuMemcpyDtoHAsync(lane.pinned.get(), from, bytes, lane.stream.get()),
             "cuMemcpyDtoHAsync");
  cuda_check(driver, driver.cuStreamSynchronize(lane.stream.get()), "cuStreamSynchronize");
}

void SetUp::read(const CudaContextPointer& context, void* to, const void* from, std::size_t bytes) {
  const std::lock_guard guard(mutex_);
  Lane& lane = this->lane(context);
  const CudaScope scope(*context);
  cuda_check(context->driver(), scope.result(), "cuCtxPushCurrent");
  for (std::size_t done = 0, piece = 0; done < bytes; done += piece) {
    piece = std::min(bytes - done, kPiece);
    copy_to_host(context->driver(), lane,
                 reinterpret_cast<CUdeviceptr>(static_cast<const std::byte*>(from) + done), piece);
    std::memcpy(static_cast<std::byte*>(to) + done, lane.pinned.get(), piece);
  }
}

SetUp::Made SetUp::make_offsets(const CudaContextPointer& context, const std::int64_t* indices,
                                std::int64_t count, std::int64_t extent) {
  const CUfunction kernel = contexts_.kernels(context).offsets;
  CudaMemory memory = allocate_cuda_memory(context, static_cast<std::size_t>(count) * sizeof(std::int64_t));
  const CudaDriver& driver = context->driver();
  const std::lock_guard guard(mutex_);
  Lane& lane = this->lane(context);
  const CudaScope scope(*context);
  cuda_check(driver, scope.result(), "cuCtxPushCurrent");
  IndexFacts facts;
  std::memcpy(lane.pinned.get(), &facts, sizeof facts);
  cuda_check(driver,
             driver.cuMemcpyHtoDAsync(lane.memory.get(), lane.pinned.get(), sizeof facts, lane.stream.get()),
             "cuMemcpyHtoDAsync");
  OffsetsTask task{indices, reinterpret_cast<std::int64_t*>(memory.get()), count, extent,
                   reinterpret_cast<IndexFacts*>(lane.memory.get())};
  void* parameters[] = {&task};
  const auto blocks = static_cast<unsigned>(kernels::device::offsets_blocks(count));
  cuda_check(
      driver,
      driver.cuLaunchKernel(kernel, blocks, 1, 1, kThreads, 1, 1, 0, lane.stream.get(), parameters, nullptr),
      "cuLaunchKernel");
  copy_to_host(driver, lane, lane.memory.get(), sizeof facts);
  std::memcpy(&facts, lane.pinned.get(), sizeof facts);
  return {std::move(memory), facts.least, facts.most, alignment_of(facts.joined, extent)};
}

}  // namespace mpix::device::cuda
