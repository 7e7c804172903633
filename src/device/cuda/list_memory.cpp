// SPDX-License-Identifier: BSD-3-Clause
#include "device/cuda/list_memory.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/log.hpp"

namespace mpix::device::cuda {

/// Of a slab.
class ListMemory::Part final : public Piece {
 public:
  Part(ListMemory& owner, Slab& slab, std::size_t offset, std::size_t bytes) noexcept
      : owner_(owner), slab_(slab), offset_(offset), bytes_(bytes) {}
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;
  ~Part() override { owner_.give(slab_, offset_, bytes_); }
  std::byte* data() const noexcept override {
    return reinterpret_cast<std::byte*>(slab_.memory.get()) + offset_;
  }

 private:
  ListMemory& owner_;
  Slab& slab_;
  std::size_t offset_, bytes_;
};

/// An allocation of its own.
class ListMemory::Whole final : public Piece {
 public:
  Whole(std::shared_ptr<Disposal> disposal, CudaMemory memory) noexcept
      : disposal_(std::move(disposal)), memory_(std::move(memory)) {}
  Whole(const Whole&) = delete;
  Whole& operator=(const Whole&) = delete;
  ~Whole() override { disposal_->put(std::move(memory_)); }
  std::byte* data() const noexcept override { return reinterpret_cast<std::byte*>(memory_.get()); }

 private:
  std::shared_ptr<Disposal> disposal_;
  CudaMemory memory_;
};

std::shared_ptr<const ListMemory::Piece> ListMemory::take(const CudaContextPointer& context,
                                                          std::size_t bytes) {
  if (bytes > kSlab / 2)
    return std::make_shared<const Whole>(disposal_, allocate_cuda_memory(context, bytes));
  bytes = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  const std::lock_guard guard(mutex_);
  for (Slab& slab : slabs_)
    if (slab.memory.context() == context)
      if (auto part = part_of(slab, bytes)) return part;
  CudaMemory memory = allocate_cuda_memory(context, kSlab);
  slabs_.push_back({std::move(memory), {{0, kSlab}}});
  return part_of(slabs_.back(), bytes);
}

/// The first that is long enough; null where there is none.
std::shared_ptr<const ListMemory::Piece> ListMemory::part_of(Slab& slab, std::size_t bytes) {
  const auto found =
      std::find_if(slab.free.begin(), slab.free.end(), [&](const auto& gap) { return gap.second >= bytes; });
  if (found == slab.free.end()) return nullptr;
  auto part = std::make_shared<const Part>(*this, slab, found->first, bytes);
  auto gap = slab.free.extract(found);
  if (gap.mapped() == bytes) return part;
  gap.key() += bytes;
  gap.mapped() -= bytes;
  slab.free.insert(std::move(gap));
  return part;
}

void ListMemory::give(Slab& slab, std::size_t offset, std::size_t bytes) noexcept {
  const std::lock_guard guard(mutex_);
  const auto next = slab.free.lower_bound(offset);
  const bool joins_next = next != slab.free.end() && next->first == offset + bytes;
  const bool joins_last =
      next != slab.free.begin() && std::prev(next)->first + std::prev(next)->second == offset;
  if (joins_last) {
    std::prev(next)->second += bytes + (joins_next ? next->second : 0);
    if (joins_next) slab.free.erase(next);
    return;
  }
  try {
    slab.free.emplace(offset, bytes + (joins_next ? next->second : 0));
    if (joins_next) slab.free.erase(next);
  } catch (const std::exception& error) {
    log::debug("memory for lists is lost: ", error.what());
  }
}

}  // namespace mpix::device::cuda
