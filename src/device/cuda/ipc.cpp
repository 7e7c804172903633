// SPDX-License-Identifier: BSD-3-Clause
#include "device/cuda/ipc.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <iterator>
#include <utility>

#include "base/log.hpp"
#include "base/text.hpp"

namespace mpix::device::cuda {
namespace {

static_assert(sizeof(CUipcMemHandle) == sizeof(IpcPlace::handle));

/// Allocations of this process whose handles are remembered.
constexpr std::size_t kExported = 1024;
/// Mappings kept although nobody uses them.
constexpr std::size_t kUnused = 64;

bool same_allocation(const IpcPlace& a, const IpcPlace& b) noexcept {
  return a.pid == b.pid && a.buffer == b.buffer && a.base == b.base && a.bytes == b.bytes &&
         a.handle == b.handle;
}

bool overlap(const IpcPlace& a, const IpcPlace& b) noexcept {
  return a.base < b.base + b.bytes && b.base < a.base + a.bytes;
}

/// Memory at a place; `owner` keeps it mapped.
class Placed : public Imported {
 public:
  Placed(std::shared_ptr<const void> owner, std::byte* data) noexcept
      : owner_(std::move(owner)), data_(data) {}
  std::byte* data() const noexcept override { return data_; }

 private:
  std::shared_ptr<const void> owner_;
  std::byte* data_;
};

}  // namespace

/// An allocation of another process.
class Imports::Mapping {
 public:
  Mapping(std::shared_ptr<Disposal> disposal, CudaMapping mapping) noexcept
      : disposal_(std::move(disposal)), mapping_(std::move(mapping)) {}
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { disposal_->put(std::move(mapping_)); }

  std::byte* data() const noexcept { return reinterpret_cast<std::byte*>(mapping_.get()); }

 private:
  std::shared_ptr<Disposal> disposal_;
  CudaMapping mapping_;
};

std::optional<IpcPlace> Exports::export_allocation(const Known& known, const void* address) {
  if (!known.exportable) return {};
  const CudaContextPointer context = contexts_.get(known.context, known.facts.ordinal);
  const CudaDriver& driver = contexts_.driver();
  const CudaScope scope(*context);
  cuda_check(driver, scope.result(), "cuCtxPushCurrent");
  CUdeviceptr base = 0;
  std::size_t bytes = 0;
  cuda_check(driver, driver.cuMemGetAddressRange(&base, &bytes, reinterpret_cast<CUdeviceptr>(address)),
             "cuMemGetAddressRange");
  CUipcMemHandle handle{};
  cuda_check(driver, driver.cuIpcGetMemHandle(&handle, base), "cuIpcGetMemHandle");
  IpcPlace place;
  std::memcpy(place.handle.data(), &handle, sizeof handle);
  place.buffer = known.facts.buffer;
  place.base = base;
  place.bytes = bytes;
  place.pid = static_cast<std::int32_t>(::getpid());
  return place;
}

std::optional<IpcPlace> Exports::place(const void* address) noexcept {
  try {
    const Known known = memory_.look(address);
    if (known.facts.kind != Kind::device || known.facts.buffer == 0) return {};
    const std::lock_guard guard(mutex_);
    if (by_buffer_.size() >= kExported) by_buffer_.clear();
    const auto [found, added] = by_buffer_.try_emplace(known.facts.buffer);
    if (added) found->second = export_allocation(known, address);  // stays empty where that throws
    std::optional<IpcPlace> place = found->second;
    if (place)
      place->offset = static_cast<std::int64_t>(reinterpret_cast<std::uint64_t>(address) - place->base);
    return place;
  } catch (const std::exception& error) {
    log::debug("memory of a GPU is not exported: ", error.what());
    return {};
  }
}

std::shared_ptr<const Imports::Mapping> Imports::open(std::uint64_t number, const IpcPlace& place) {
  const CudaContextPointer context = contexts_.numbered(number);
  const CudaDriver& driver = contexts_.driver();
  CUipcMemHandle handle;
  std::memcpy(&handle, place.handle.data(), sizeof handle);
  CUdeviceptr data = 0;
  const CudaScope scope(*context);
  CUresult result = scope.result();
  for (bool again : {true, false}) {
    if (scope.result() != CUDA_SUCCESS) break;
    result = driver.cuIpcOpenMemHandle(&data, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS);
    if (result == CUDA_SUCCESS || !again) break;
    drop_unused(0);  // they may be in its way, or all that there is room for
    disposal_->sweep();
  }
  if (result == CUDA_SUCCESS) return std::make_shared<const Mapping>(disposal_, CudaMapping(context, data));
  throw Error(Code::peer, text("cannot map memory of the GPU of process ", place.pid, ": ",
                               cuda_status(driver, result, "cuIpcOpenMemHandle").message()));
}

void Imports::drop_stale(std::uint64_t number, const IpcPlace& place) {
  std::erase_if(entries_, [&](const Entry& e) {
    return e.number == number && e.place.pid == place.pid && overlap(e.place, place);
  });
}

void Imports::drop_unused(std::size_t keep) {
  std::size_t unused = 0;
  std::erase_if(entries_, [&](const Entry& e) { return e.mapping.use_count() == 1 && ++unused > keep; });
}

std::shared_ptr<const Imported> Imports::get(std::uint64_t number, const IpcPlace& place) {
  if (place.pid == static_cast<std::int32_t>(::getpid())) {  // which no driver lets a process map
    auto* const here = reinterpret_cast<std::byte*>(place.base);
    const auto own = exports_.place(here);
    if (own && same_allocation(*own, place))
      return std::make_shared<const Placed>(nullptr, here + place.offset);
  }
  disposal_->sweep();
  try {
    const std::lock_guard guard(mutex_);
    auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) {
      return e.number == number && same_allocation(e.place, place);
    });
    if (found == entries_.end()) {
      drop_stale(number, place);
      entries_.push_front({number, place, open(number, place)});
    } else {
      entries_.splice(entries_.begin(), entries_, found);
    }
    const auto mapping = entries_.front().mapping;
    drop_unused(kUnused);
    return std::make_shared<const Placed>(mapping, mapping->data() + place.offset);
  } catch (const Error& error) {
    if (error.status().code() == Code::peer) throw;
    throw Error(Code::peer, error.status().message());
  }
}

}  // namespace mpix::device::cuda
