// SPDX-License-Identifier: BSD-3-Clause
#include "memory/regions.hpp"

#include <mutex>
#include <utility>

namespace mpix::memory {

Regions::Entry::Entry(Entry&& other) noexcept
    : regions_(std::exchange(other.regions_, nullptr)), address_(other.address_) {}

Regions::Entry& Regions::Entry::operator=(Entry&& other) noexcept {
  std::swap(regions_, other.regions_);
  std::swap(address_, other.address_);
  return *this;
}

Regions::Entry::~Entry() {
  if (regions_ != nullptr) regions_->remove(address_);
}

Regions::Entry Regions::add(std::span<std::byte> memory) {
  const std::unique_lock guard(mutex_);
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
  Listed& listed = regions_[address];
  if (listed.entries++ == 0) listed.region = {memory, next_++};
  return {*this, address};
}

std::optional<Regions::Region> Regions::find(const void* address) const {
  const std::shared_lock guard(mutex_);
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  auto after = regions_.upper_bound(at);
  if (after == regions_.begin()) return {};
  const Region& region = (--after)->second.region;
  if (at - after->first >= region.memory.size()) return {};
  return region;
}

void Regions::visit(const std::function<void(const Region&)>& visit) const {
  const std::shared_lock guard(mutex_);
  for (const auto& [address, listed] : regions_) visit(listed.region);
}

void Regions::on_removal(std::function<void(const Region&)> removing) {
  const std::unique_lock guard(mutex_);
  removing_ = std::move(removing);
}

void Regions::remove(std::uintptr_t address) noexcept {
  const std::unique_lock guard(mutex_);
  const auto found = regions_.find(address);
  if (found == regions_.end() || --found->second.entries > 0) return;
  if (removing_) removing_(found->second.region);
  regions_.erase(found);
}

}  // namespace mpix::memory
