// SPDX-License-Identifier: BSD-3-Clause
/// A layout as a value: for one buffer, the blocks of each peer in canonical form. Immutable once built.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "kernels/blocks.hpp"

namespace mpix {

/// One peer's share; `blocks.bytes` > 0.
struct PeerBlocks {
  int peer = 0;
  kernels::Blocks blocks;
};

/// Offsets of equal blocks in the memory of a GPU, of all peers one after the other, and the indices that
/// they were made of.
struct GpuList {
  kernels::GpuOffsets offsets{};
  std::int64_t least = 0, most = 0;  ///< smallest and largest index
  /// Copies all of them to the host. Throws Error. Keeps their memory in being.
  std::function<void(std::span<std::int64_t>)> read;
};

/// Owns the arrays that its Blocks point into; memory is O(blocks + peers with bytes). Never copied or moved
/// after construction: shared between handle, plans and exchanges.
class Layout {
 public:
  /// What the arrays of `parts` point into; kept alive, addresses stable.
  struct Storage {
    std::vector<std::unique_ptr<const kernels::Dim[]>> dims;
    std::vector<std::unique_ptr<const std::int64_t[]>> arrays;
    std::int64_t bytes = 0;  ///< memory taken by all of these
  };

  /// `parts`: ascending peers, each with bytes > 0 and in canonical form, pointing into `storage`.
  Layout(int npeers, std::vector<PeerBlocks> parts, Storage storage);
  /// `parts`: ascending peers whose blocks are of the indexed form with one run length and one `offset`, the
  /// list of all of them being that of `list`. Their bytes lie in [low, high).
  Layout(int npeers, std::vector<PeerBlocks> parts, GpuList list, std::int64_t low, std::int64_t high);
  Layout(const Layout&) = delete;
  Layout& operator=(const Layout&) = delete;

  int npeers() const noexcept { return npeers_; }
  std::span<const PeerBlocks> parts() const noexcept { return parts_; }
  /// The peer's blocks, or null where it has no bytes. O(log peers with bytes).
  const kernels::Blocks* find(int peer) const noexcept;
  std::int64_t bytes() const noexcept { return bytes_; }  ///< over all peers
  std::int64_t runs() const noexcept { return runs_; }    ///< over all peers
  std::int64_t true_lb() const noexcept { return true_lb_; }
  std::int64_t true_ub() const noexcept { return true_ub_; }
  std::int64_t memory() const noexcept;  ///< bytes of host memory that the layout takes
  /// Distinct for every layout of this process, never reused.
  std::uint64_t serial() const noexcept { return serial_; }

  /// The number of the GPU that has the lists; 0 where none has.
  std::uint64_t gpu() const noexcept { return gpu_list_ ? gpu_list_->offsets.gpu : 0; }
  /// Whether Blocks::offsets can be used.
  bool listed_on_host() const noexcept { return listed_on_host_.load(std::memory_order_acquire); }
  /// Makes that so. Thread-safe. Throws Error where the lists cannot be copied.
  void list_on_host() const;

 private:
  void add_up();

  int npeers_;
  mutable std::vector<PeerBlocks> parts_;  // list_on_host() sets their offsets
  mutable Storage storage_;
  std::unique_ptr<const GpuList> gpu_list_;
  std::vector<kernels::GpuOffsets> gpu_offsets_;  // [parts] where there is a gpu_list_
  mutable std::mutex listing_;
  mutable std::atomic<bool> listed_on_host_ = true;
  std::int64_t bytes_ = 0, runs_ = 0, true_lb_ = 0, true_ub_ = 0;
  std::uint64_t serial_;
};

using LayoutRef = std::shared_ptr<const Layout>;

/// Throws Error (layout) that names two overlapping blocks where any two of the layout's bytes coincide.
/// O(runs log runs) time and O(runs) memory: used under MPIX_LAYOUT_CHECK=full.
void check_no_overlap(const Layout& layout);

}  // namespace mpix
