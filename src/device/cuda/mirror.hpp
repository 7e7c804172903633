// SPDX-License-Identifier: BSD-3-Clause
/// Lists of Blocks in the memory of a GPU.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "device/cuda/launcher.hpp"
#include "device/cuda/shared.hpp"
#include "device/device.hpp"

namespace mpix::device::cuda {

/// Lists before they are copied to the GPU of number `gpu`: those of the host, then those that the GPU has
/// already.
struct HostLists {
  std::vector<BlocksPlace> places;
  std::vector<std::byte> memory;
  std::vector<ListCopy> copies;
  std::size_t bytes = 0;  ///< of all
};
HostLists make_lists(std::span<const kernels::Blocks* const> blocks, std::uint64_t gpu);

class ListMirror : public Mirror {
 public:
  /// `memory` is to receive what HostLists describes; null for 0 `bytes`.
  ListMirror(std::shared_ptr<Shared> shared, int ordinal, std::vector<BlocksPlace> places,
             std::shared_ptr<const ListMemory::Piece> memory, std::size_t bytes) noexcept
      : shared_(std::move(shared)),
        ordinal_(ordinal),
        places_(std::move(places)),
        memory_(std::move(memory)),
        bytes_(bytes) {}

  int ordinal() const noexcept override { return ordinal_; }
  const BlocksPlace& operator[](std::size_t index) const noexcept override { return places_[index]; }
  std::int64_t memory() const noexcept override { return static_cast<std::int64_t>(bytes_); }
  std::optional<IpcPlace> place() const noexcept override;
  bool has_lists() const noexcept override { return bytes_ > 0; }
  Ticket ticket() const noexcept override { return ticket_; }
  /// The lists are copied by this launch.
  void set_ticket(Ticket ticket) noexcept { ticket_ = ticket; }

  const std::byte* data() const noexcept { return memory_ != nullptr ? memory_->data() : nullptr; }

 private:
  std::shared_ptr<Shared> shared_;
  int ordinal_;
  std::vector<BlocksPlace> places_;
  std::shared_ptr<const ListMemory::Piece> memory_;
  std::size_t bytes_;
  Ticket ticket_ = 0;
};

}  // namespace mpix::device::cuda
