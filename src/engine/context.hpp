// SPDX-License-Identifier: BSD-3-Clause
/// What the exchanges of one communicator share.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/config.hpp"
#include "device/device.hpp"
#include "kernels/host.hpp"
#include "memory/alloc.hpp"
#include "memory/segment.hpp"
#include "transport/transport.hpp"

namespace mpix::engine {

class Relay;

/// Fixed for the life of the communicator; everything pointed to outlives the engine.
struct Context {
  int rank = 0;
  const kernels::HostKernels* kernels = nullptr;
  const memory::SharedAllocator* allocator = nullptr;  ///< null: no memory of this rank can be mapped
  memory::MappingCache* mappings = nullptr;            ///< null: nor can that of its peers
  Relay* relay = nullptr;                              ///< null: nothing is sent through forwarders
  device::Gpus* gpus = nullptr;                        ///< null: all buffers are the host's
};

/// Bytes that left this rank, by way.
struct Traffic {
  std::int64_t self = 0, inlined = 0, ring = 0, mapped = 0, attached = 0, net = 0, chunks = 0, saved = 0;
  std::int64_t rows = 0;                   ///< of `ring`, in rows whose places the peers have kept
  std::int64_t messages = 0;               ///< to other nodes: announcements and chunks
  std::int64_t lists = 0;                  ///< bytes of lists of places in these
  std::int64_t given = 0;                  ///< of `net`, what other ranks of the node sent for this one
  std::int64_t helped = 0;                 ///< sent to other nodes for other ranks of the node
  std::int64_t imported = 0;               ///< read by the peers' GPUs from the memory of this rank's
  std::int64_t launches = 0, bounced = 0;  ///< of this rank's queues, see device::QueueTraffic
  std::int64_t forwarded = 0;  ///< that came from other nodes in packets, for any rank of the node

  Traffic& operator+=(const Traffic& other) noexcept;
};

/// Exchanges waiting for their turn at something that must happen in the order of their numbers.
class Turns {
 public:
  void join(std::uint64_t exchange) { waiting_.push_back(exchange); }
  bool is_next(std::uint64_t exchange) const noexcept {
    return !waiting_.empty() && waiting_.front() == exchange;
  }
  /// Whether had or not, `exchange` gives up its turn.
  void leave(std::uint64_t exchange) noexcept;

 private:
  std::vector<std::uint64_t> waiting_;  // ascending, rarely more than one
};

/// A channel with the order in which the exchanges use it.
struct Link {
  transport::Channel* channel = nullptr;
  Turns announcing;              ///< have not yet sent their announcement
  Turns meeting;                 ///< have not yet read the peer's
  Turns sending;                 ///< have chunks to send, which the peer takes in their order
  Turns living;                  ///< may still read chunks
  std::uint64_t announced = 0;   ///< the last exchange that was announced
  std::uint64_t introduced = 0;  ///< the last exchange in which a packet did what announcements do
  bool noted = false;            ///< a note with which the peer tries to import was left
  std::map<std::uint64_t, bool>
      imports;  ///< by queues' numbers: whether they can import the peer's GPU memory
};

}  // namespace mpix::engine
