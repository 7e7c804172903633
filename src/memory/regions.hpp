// SPDX-License-Identifier: BSD-3-Clause
/// The staging memory of this process, own and mapped, so that whoever can make it faster to reach (by
/// pinning it for a GPU) finds it from an address, and learns when it goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <shared_mutex>
#include <span>

namespace mpix::memory {

/// Thread-safe; outlives its entries.
class Regions {
 public:
  struct Region {
    std::span<std::byte> memory;
    std::uint64_t id = 0;  ///< never used again
  };

  /// Keeps a region listed.
  class Entry {
   public:
    Entry() noexcept = default;
    Entry(Entry&& other) noexcept;
    Entry& operator=(Entry&& other) noexcept;
    ~Entry();

   private:
    friend class Regions;
    Entry(Regions& regions, std::uintptr_t address) noexcept : regions_(&regions), address_(address) {}
    Regions* regions_ = nullptr;
    std::uintptr_t address_ = 0;
  };

  /// Lists `memory`, which overlaps no other region but may be listed already; to be removed before it goes.
  Entry add(std::span<std::byte> memory);
  /// The region that holds `address`.
  std::optional<Region> find(const void* address) const;
  /// Calls `visit` for all regions, none of which goes meanwhile.
  void visit(const std::function<void(const Region&)>& visit) const;
  /// `removing` is called for every region, before it goes; null for nobody.
  void on_removal(std::function<void(const Region&)> removing);

 private:
  void remove(std::uintptr_t address) noexcept;

  struct Listed {
    Region region;
    std::size_t entries = 0;
  };

  mutable std::shared_mutex mutex_;
  std::map<std::uintptr_t, Listed> regions_;  // by address
  std::uint64_t next_ = 1;
  std::function<void(const Region&)> removing_;
};

}  // namespace mpix::memory
