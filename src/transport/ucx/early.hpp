// SPDX-License-Identifier: BSD-3-Clause
/// Announcements that came before this rank has a channel for them: a peer may be ahead by a few. Their
/// number is bounded by what a peer sends without being answered.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "transport/ucx/wire.hpp"

namespace mpix::transport::ucx {

struct EarlyAnnouncement {
  AnnouncementMessage message;
  void* data = nullptr;  ///< held from UCX; null where there is no payload
};

class EarlyArrivals {
 public:
  /// False where the communicator is closed: the message is late, not early. Throws std::bad_alloc.
  bool keep(const EarlyAnnouncement& arrival);
  /// The source of one that is kept for `communicator`; -1 for none.
  int source(std::uint64_t communicator) const noexcept;
  std::vector<EarlyAnnouncement> take(std::uint64_t communicator, std::uint64_t source);
  /// Takes all that is kept for a communicator and remembers it as closed.
  std::vector<EarlyAnnouncement> close(std::uint64_t communicator);
  std::vector<EarlyAnnouncement> take_all();

 private:
  using Key = std::pair<std::uint64_t, std::uint64_t>;
  bool is_closed(std::uint64_t communicator) const noexcept;

  std::map<Key, std::vector<EarlyAnnouncement>> kept_;
  std::array<std::uint64_t, 256> closed_{};  // the last ones
  std::uint64_t closings_ = 0;
};

}  // namespace mpix::transport::ucx
