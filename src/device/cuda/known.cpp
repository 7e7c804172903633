// SPDX-License-Identifier: BSD-3-Clause
#include "device/cuda/known.hpp"

#include <array>
#include <exception>
#include <iterator>

#include "base/log.hpp"

namespace mpix::device::cuda {
namespace {

/// Allocations remembered; an application that uses more has them asked for again.
constexpr std::size_t kRemembered = 1024;

CUdeviceptr device_pointer(const void* address) noexcept {
  return static_cast<CUdeviceptr>(reinterpret_cast<std::uintptr_t>(address));
}

/// As the driver writes them.
struct Answers {
  unsigned type = 0;
  unsigned managed = 0;
  int ordinal = -1;
  CUcontext context = nullptr;
  CUdeviceptr base = 0;
  std::size_t bytes = 0;
  unsigned exportable = 0;
  void* pool = nullptr;
};

Kind kind_of(const Answers& answers) noexcept {
  if (answers.managed != 0) return Kind::managed;
  if (answers.type == CU_MEMORYTYPE_DEVICE) return Kind::device;
  return answers.type == CU_MEMORYTYPE_HOST ? Kind::pinned : Kind::host;
}

}  // namespace

Known KnownMemory::ask(const void* address, std::uint64_t buffer) const noexcept {
  Answers answers;
  std::array<CUpointer_attribute, 8> which = {
      CU_POINTER_ATTRIBUTE_MEMORY_TYPE,      CU_POINTER_ATTRIBUTE_IS_MANAGED,
      CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL,   CU_POINTER_ATTRIBUTE_CONTEXT,
      CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, CU_POINTER_ATTRIBUTE_RANGE_SIZE,
      CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE,   CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE};
  std::array<void*, 8> where = {&answers.type, &answers.managed, &answers.ordinal, &answers.context,
                                &answers.base, &answers.bytes,   &answers.pool,    &answers.exportable};
  const CUresult result =
      driver_.cuPointerGetAttributes(which.size(), which.data(), where.data(), device_pointer(address));
  Known known;
  cuda_log(driver_, result, "cuPointerGetAttributes");
  if (result != CUDA_SUCCESS) return known;
  known.facts = {kind_of(answers), answers.ordinal, buffer};
  if (known.facts.kind == Kind::host) known.facts = {};
  known.base = static_cast<std::uintptr_t>(answers.base);
  known.bytes = answers.bytes;
  known.context = answers.context;
  known.pool = answers.pool != nullptr;
  known.exportable = answers.exportable != 0 && known.facts.kind == Kind::device && !known.pool;
  return known;
}

Known KnownMemory::look(const void* address) noexcept {
  unsigned type = 0;
  unsigned long long buffer = 0;
  std::array<CUpointer_attribute, 2> which = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                                              CU_POINTER_ATTRIBUTE_BUFFER_ID};
  std::array<void*, 2> where = {&type, &buffer};
  // Of memory that no GPU knows this gives zeros.
  const CUresult result =
      driver_.cuPointerGetAttributes(which.size(), which.data(), where.data(), device_pointer(address));
  if (result != CUDA_SUCCESS || type == 0) return {};
  const std::lock_guard guard(mutex_);
  const auto after = by_base_.upper_bound(reinterpret_cast<std::uintptr_t>(address));
  if (after != by_base_.begin()) {
    const Known& known = std::prev(after)->second;
    if (known.facts.buffer == buffer && known.holds(address, 1)) return known;
  }
  const Known known = ask(address, buffer);
  try {
    remember(known);
  } catch (const std::exception& error) {  // it is asked for again
    log::debug("memory of a GPU not remembered: ", error.what());
  }
  return known;
}

void KnownMemory::remember(const Known& known) {
  if (known.bytes == 0 || known.facts.buffer == 0) return;
  if (by_base_.size() >= kRemembered) by_base_.clear();
  // What it overlaps has been freed.
  auto stale = by_base_.upper_bound(known.base);
  if (stale != by_base_.begin() && std::prev(stale)->second.holds(reinterpret_cast<void*>(known.base), 1))
    --stale;
  while (stale != by_base_.end() && stale->first < known.base + known.bytes) stale = by_base_.erase(stale);
  by_base_.insert_or_assign(known.base, known);
}

std::optional<Known> KnownMemory::find(std::uint64_t buffer) const noexcept {
  const std::lock_guard guard(mutex_);
  for (const auto& [base, known] : by_base_)
    if (known.facts.buffer == buffer) return known;
  return {};
}

}  // namespace mpix::device::cuda
