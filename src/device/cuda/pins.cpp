// SPDX-License-Identifier: BSD-3-Clause
#include "device/cuda/pins.hpp"

#include <exception>
#include <utility>

#include "base/log.hpp"

namespace mpix::device::cuda {
namespace {

/// Registers [data, data + bytes) for all contexts. Throws Error.
CudaRegistered register_host(const CudaContextPointer& context, std::byte* data, std::size_t bytes,
                             CUdeviceptr& start) {
  const CudaDriver& driver = context->driver();
  const CudaScope scope(*context);
  cuda_check(driver, scope.result(), "cuCtxPushCurrent");
  const unsigned flags = CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP;
  cuda_check(driver, driver.cuMemHostRegister(data, bytes, flags), "cuMemHostRegister");
  CudaRegistered registered(context, data);
  cuda_check(driver, driver.cuMemHostGetDevicePointer(&start, data, 0), "cuMemHostGetDevicePointer");
  return registered;
}

}  // namespace

Pins::Pins(memory::Regions& regions, std::shared_ptr<Disposal> disposal)
    : regions_(regions), disposal_(std::move(disposal)) {
  regions_.on_removal([this](const memory::Regions::Region& region) {
    const std::lock_guard guard(mutex_);
    pins_.erase(region.id);
  });
}

Pins::~Pins() {
  regions_.on_removal(nullptr);
}

std::byte* Pins::pinned(const CudaContextPointer& context, const memory::Regions::Region& region) {
  const std::lock_guard guard(mutex_);
  if (const auto found = pins_.find(region.id); found != pins_.end()) {
    const Pin& pin = found->second;
    const bool gone = pin.start != nullptr && !pin.registered.context()->alive();  // and the pin with it
    if (!gone) return pin.start;
    pins_.erase(found);
  }
  Pin made;
  const bool tried = disposal_->unless_held([&] {
    try {
      CUdeviceptr start = 0;
      made.registered = register_host(context, region.memory.data(), region.memory.size(), start);
      made.start = reinterpret_cast<std::byte*>(start);
      log::debug("pinned ", region.memory.size(), " bytes of staging memory");
    } catch (const Error& error) {
      log::debug("staging memory is not pinned: ", error.what());
    }
  });
  std::byte* const start = made.start;
  // Another context may have more luck, and this one later.
  if (start != nullptr || (tried && context->alive())) pins_.emplace(region.id, std::move(made));
  return start;
}

void Pins::prepare(const CudaContextPointer& context) noexcept {
  try {
    regions_.visit([&](const memory::Regions::Region& region) { pinned(context, region); });
  } catch (const std::exception& error) {
    log::debug("staging memory is not pinned: ", error.what());
  }
}

std::byte* Pins::reach(const CudaContextPointer& context, const std::byte* data, std::size_t bytes) noexcept {
  const auto region = regions_.find(data);
  if (!region) return nullptr;
  const auto offset = static_cast<std::size_t>(data - region->memory.data());
  if (bytes > region->memory.size() - offset) return nullptr;
  try {
    std::byte* const start = pinned(context, *region);
    return start == nullptr ? nullptr : start + offset;
  } catch (const std::exception& error) {
    log::debug("staging memory is not pinned: ", error.what());
    return nullptr;
  }
}

}  // namespace mpix::device::cuda
