// SPDX-License-Identifier: BSD-3-Clause
/// What one rank does in an exchange: pure facts made from its two layouts. No MPI, UCX or CUDA calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/config.hpp"
#include "layout/layout.hpp"

namespace mpix::plan {

/// The traffic with one other rank; null where there are no bytes, never both null.
struct Pair {
  int peer = 0;
  const kernels::Blocks* send = nullptr;
  const kernels::Blocks* recv = nullptr;
};

/// How received data is stored: through the caches, past them, or as was faster in exchanges before.
enum class StoreRule { cached, streaming, measured };
/// Bytes that a rank receives from which stores are measured, where the configuration does not say.
inline constexpr std::int64_t kMeasuredStores = std::int64_t{1} << 20;

/// Does not own the layouts: whoever executes the plan keeps them alive.
struct Plan {
  int rank = 0;
  bool in_place = false;
  std::vector<Pair> pairs;  ///< with traffic, starting after this rank and going around
  Pair self;                ///< both null where the rank has nothing for itself
  const Layout* send_layout = nullptr;
  const Layout* recv_layout = nullptr;
  std::int64_t send_bytes = 0, recv_bytes = 0;
  std::int64_t send_lb = 0, send_ub = 0;  ///< what the send layout touches, relative to the buffer
  std::int64_t recv_lb = 0;               ///< likewise the receive layout's first byte
  StoreRule stores = StoreRule::cached;   ///< of what is received

  std::int64_t memory() const noexcept;
  /// Which of `pairs` is that with `peer`. O(log pairs).
  std::optional<std::size_t> pair_with(int peer) const noexcept;
};

/// The plan of `rank` for sending by `send` and receiving by `recv`, both for the communicator's ranks.
/// `in_place`: `send` and `recv` are the same layout of one buffer. O(peers with bytes).
Plan make_plan(int rank, const Layout& send, const Layout& recv, bool in_place, const Config& config);

}  // namespace mpix::plan
