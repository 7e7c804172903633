// SPDX-License-Identifier: BSD-3-Clause
/// What one exchange sends to one other node in packets: every unique byte once, to ranks of that node that
/// hand on what they get, and to each what this rank's announcement would say. Where it is much, ranks of the
/// own node that have nothing more to send help. Where it is little for many ranks (an aggregated route), all
/// goes to one of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/errand_desk.hpp"
#include "engine/gpu_pair.hpp"
#include "engine/kept_lists.hpp"
#include "engine/packet.hpp"
#include "engine/pair.hpp"

namespace mpix::engine {

/// The plan of it, shared by the exchanges of a BoundPlan.
struct NodeRoute {
  /// A forwarder, and the unique bytes [begin, end) that go through it.
  struct Lane {
    int rank = 0;
    transport::Channel* channel = nullptr;
    /// A forwarder takes packets in their order and keeps them until their receivers take part in the
    /// exchange, so those of an earlier one must come first.
    Turns* turns = nullptr;
    UniqueCursor start;
    std::int64_t bytes = 0;
    /// What the forwarder keeps for later exchanges, of packets that are sent as chunks, and of the one that
    /// is sent with an announcement. Guarded by the engine's lock.
    std::unique_ptr<SentList> list, whole_list;
  };

  int node = 0;
  std::size_t local_ranks = 0;
  plan::NodeSend send;
  std::vector<Lane> lanes;
  /// For each rank of the own node, the rank of the other one to which it sends what it helps with. Empty
  /// where nobody helps.
  std::vector<int> helper_targets;
  /// The ranks of the node, by their places there, to which packets of the first lane introduce this one.
  std::vector<PacketDest> introductions;
  bool aggregated = false;       ///< one lane, no helpers
  bool fits = false;             ///< all of it, with the introductions, fits one announcement's payload
  std::size_t most_errands = 0;  ///< left to them at a time: they are to serve all nodes alike
};

class NodeSender {
 public:
  /// `index`: the number of the route's unique ranges in the send mirror. Throws std::bad_alloc.
  NodeSender(const NodeRoute& route, std::size_t index);

  const NodeRoute& route() const noexcept { return *route_; }
  /// Joins the lanes' queues; in the order of the exchanges' numbers. Throws std::bad_alloc.
  void enter(const Run& run);
  /// Sends what can be sent now; returns whether that was anything.
  bool step(Run& run) noexcept;
  /// All introductions have been sent.
  bool introduced() const noexcept { return introductions_.empty(); }
  /// Everything has left this rank, or was given up.
  bool done() const noexcept { return done_; }
  bool gave_up() const noexcept { return gave_up_; }
  /// Gives up what is not sent.
  void abandon(const Run& run) noexcept;
  /// Not ok once a forwarder is known to be gone.
  Status check_forwarders() noexcept;

 private:
  struct Progress {
    UniqueCursor cursor;
    std::int64_t left = 0;
    std::int64_t position = 0;   ///< of the cursor, in the unique bytes
    FillingRooms filling;        ///< of packets that a GPU writes
    std::int64_t announced = 0;  ///< of `left`: the forwarder expects it, so it cannot be left to others
    std::int64_t expected = 0;   ///< by the forwarder, as its transport counts, and not on its way
  };
  bool step(Run& run, const NodeRoute::Lane& lane, Progress& progress) noexcept;
  /// Whether introductions are still to go by this lane.
  bool introduces(const Progress& progress) const noexcept {
    return !introduced() && &progress == lanes_.data();
  }
  bool helped(const Run& run) const noexcept;
  bool announce(Run& run, const NodeRoute::Lane& lane, Progress& progress) noexcept;
  bool send_whole(Run& run, const NodeRoute::Lane& lane, Progress& progress) noexcept;
  bool push(Run& run, const NodeRoute::Lane& lane, Progress& progress,
            const transport::Announcement* with = nullptr) noexcept;
  Status write(std::span<std::byte> room, Run& run, PacketOrder order, SentList& list, Progress& progress,
               const PacketSource& source, PacketExtent& extent) noexcept;
  bool ask_for_help(Run& run) noexcept;
  void leave_errand(Run& run, const ErrandDesk::Claim& claim, Progress& progress) noexcept;
  bool collect_errands(Run& run) noexcept;
  void take_back(const Run& run, const NodeRoute::Lane& lane, Progress& progress) noexcept;
  bool fail(Run& run, const Status& status) noexcept;

  const NodeRoute* route_;
  std::size_t index_;
  bool done_ = false, gave_up_ = false;
  std::vector<Progress> lanes_;
  std::span<const PacketDest> introductions_;  // those to come
  bool expects_introductions_ = false;         // the forwarder knows that they come
  PacketWriter writer_;
  std::vector<ErrandDesk::Claim> errands_;
};

}  // namespace mpix::engine
