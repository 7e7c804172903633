// SPDX-License-Identifier: BSD-3-Clause
#include "device/cuda/arena.hpp"

#include <algorithm>
#include <bit>
#include <exception>
#include <utility>

namespace mpix::device::cuda {

Arena::Arena(const CudaContextPointer& context, std::size_t bytes)
    : memory_(allocate_cuda_pinned(context, bytes)),
      twin_(allocate_cuda_memory(context, bytes)),
      bytes_(bytes) {}

void Arena::grow(std::size_t bytes) {
  const std::size_t wanted = std::bit_ceil(2 * bytes);
  CudaPinned memory = allocate_cuda_pinned(memory_.context(), wanted);
  CudaMemory twin = allocate_cuda_memory(memory_.context(), wanted);
  outgrown_.emplace_back(std::exchange(memory_, std::move(memory)), std::exchange(twin_, std::move(twin)));
  bytes_ = wanted;
  begin_ = end_ = 0;
  taken_.clear();  // those are in what was outgrown
}

std::byte* Arena::take(std::size_t bytes, Ticket ticket, Status& status) noexcept {
  bytes = (std::max<std::size_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
  try {
    if (bytes > bytes_ / 2) grow(bytes);
    if (taken_.empty()) begin_ = end_ = 0;
    const bool wrapped = !taken_.empty() && end_ <= begin_;
    std::size_t start = end_;
    if (wrapped ? begin_ - end_ < bytes : bytes_ - end_ < bytes) {
      if (wrapped || begin_ < bytes) return nullptr;
      start = 0;
    }
    taken_.push_back({start + bytes, ticket});
    end_ = start + bytes;
    return static_cast<std::byte*>(memory_.get()) + start;
  } catch (const Error& error) {
    status = error.status();
  } catch (const std::exception& error) {
    status = {Code::no_memory, error.what()};
  }
  return nullptr;
}

void Arena::release(Ticket done) noexcept {
  while (!taken_.empty() && taken_.front().ticket <= done) {
    begin_ = taken_.front().end;
    taken_.pop_front();
  }
}

}  // namespace mpix::device::cuda
