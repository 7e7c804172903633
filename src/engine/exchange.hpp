// SPDX-License-Identifier: BSD-3-Clause
/// One exchange under way on this rank: posts, progresses and completes a plan over channels. Knows no MPI.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/node_sender.hpp"
#include "engine/pair.hpp"
#include "engine/relay.hpp"
#include "engine/self_copy.hpp"
#include "engine/short_exchange.hpp"

namespace mpix::engine {

/// Where it is not known how many bytes a rank will have to hand on.
inline constexpr std::int64_t kUnknownPassing = -1;

/// The sum, if both are known.
constexpr std::int64_t add_passing(std::int64_t one, std::int64_t other) noexcept {
  return one == kUnknownPassing || other == kUnknownPassing ? kUnknownPassing : one + other;
}

/// A plan with the links to its peers. Valid for one engine.
struct BoundPlan {
  plan::Plan plan;
  std::vector<Link*> links;       ///< one for each of plan.pairs
  Config config;                  ///< in force for the plan's exchanges
  std::vector<NodeRoute> routes;  ///< to nodes that are reached through forwarders
  std::vector<int> route_of;      ///< of each of plan.pairs; -1 for none
  bool forwarding_pays = false;   ///< for a node by itself
  bool held_back = false;         ///< for some nodes it pays only if other ranks forward too
  // Guarded by the engine's lock, as what executes the plan is:
  /// What a pair of this node sends, equal bytes once, where that pays; one for each of plan.pairs, or none.
  mutable std::vector<std::unique_ptr<const Repeats>> repeats;
  mutable std::unordered_map<std::size_t, KeptOfPeer> kept;  ///< of pairs that receive such bytes
  std::uint32_t* numbers = nullptr;                          ///< the last that was given to Repeats
  mutable Mirrors mirrors;
  mutable std::optional<StoreTrials> store_trials;
  mutable bool reused = false;  ///< has been executed before, or is made for that: peers keep lists of it
  bool is_short = false;        ///< ShortExchange suits it
  bool lingers = false;         ///< an exchange does not end before others do not need this rank any more
  /// Bytes that come to this rank in packets in each exchange, of which it knows where all ranks have told.
  std::int64_t passing = kUnknownPassing;
  std::uint32_t most_from_one = kNeedsNode;  ///< for Relay::tell_expected
};

/// What was made to send and receive equal bytes once inside the node; with the engine's lock held.
std::int64_t repeats_memory(const BoundPlan& bound) noexcept;

/// What Exchange::start needs to know of the two buffers.
struct Buffers {
  const std::byte* send = nullptr;
  std::byte* recv = nullptr;
  GpuSide send_gpu, recv_gpu;
  Storing storing;  ///< into the receive buffer
};

/// The layouts that a plan refers to, kept alive while it may be executed.
struct PlanLayouts {
  LayoutRef send, recv;
};

class Exchange {
 public:
  explicit Exchange(const Context& context) noexcept { run_.context = &context; }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// Begins the exchange of number `number`, which is larger than those of all earlier exchanges of the
  /// engine. An Exchange that is done may be started again. `begun`: what has been done of it.
  void start(std::uint64_t number, std::shared_ptr<const BoundPlan> plan, PlanLayouts layouts,
             const Buffers& buffers, OnStream on_stream = {}, const device::QueueTraffic& gpu_before = {},
             const Begun& begun = {});
  /// Keeps the layouts until release(), for a caller that does not.
  void keep(PlanLayouts layouts) noexcept { layouts_ = std::move(layouts); }
  /// Moves what can be moved now; returns whether anything was.
  bool progress() noexcept;
  bool done() const noexcept { return finished() && !lingering(); }
  /// Lets the stream go on that waits for the exchange; to be called once it is done.
  void release_stream() noexcept;
  /// Packets may come: it waits for no stream, or not any more.
  bool open() const noexcept { return run_.open; }
  /// This rank has nothing left to do for itself.
  bool finished() const noexcept { return live_.empty() && self_.done() && all_sent(); }
  /// This rank has nothing more to send to other nodes.
  bool sent() const noexcept;
  std::uint64_t number() const noexcept { return run_.exchange; }
  const BoundPlan& plan() const noexcept { return *bound_; }
  /// Takes what a packet of `source` has for this rank.
  Taken take(int source, const PacketPart& part) noexcept;
  /// Gives up everything that is not done, and waits no longer for the other ranks of the node.
  void desert(const Status& status) noexcept;
  /// What went wrong first; meaningful once done.
  const Status& error() const noexcept { return run_.error; }
  const Traffic& traffic() const noexcept { return run_.traffic; }
  /// Lets later exchanges learn from how this one, which is done, has stored what it received.
  void note_storing() const noexcept {
    const Storing& storing = run_.storing;
    if (storing.trials != nullptr) storing.trials->note(storing.stores, storing.nanoseconds, storing.bytes);
  }
  void count_forwarded(std::int64_t bytes) noexcept { run_.traffic.forwarded += bytes; }
  void count_helped(std::int64_t bytes) noexcept { run_.traffic.helped += bytes; }
  /// What the GPUs' queues have done since the start, given what they have done in all.
  void count_gpu(const device::QueueTraffic& traffic) noexcept;
  /// Seconds without progress after which time_out() is due; 0 for never.
  double timeout() const noexcept { return bound_->config.timeout; }
  /// Drops the plan and the layouts of an exchange that is done.
  void release() noexcept {
    self_.release();
    bound_.reset();
    layouts_ = {};
    on_stream_ = {};
  }

  /// The peers that are still awaited and what for, for messages.
  std::string awaited() const;
  /// Asks the transports about the peers still awaited, and gives up on those that are gone.
  void check_peers() noexcept;
  /// Deserts with an error that names the peers awaited.
  void time_out() noexcept;

 private:
  static constexpr std::uint32_t kGone = UINT32_MAX;

  bool keeps_places() const noexcept;
  void start_self(bool copied);
  void resume(const Begun& begun) noexcept;
  PairExchange* live_pair(int peer) noexcept;
  bool opens() noexcept;
  bool gpu_failed() noexcept;
  void drop_done() noexcept;

  bool lingering() const noexcept;
  bool all_sent() const noexcept;

  Run run_;
  std::shared_ptr<const BoundPlan> bound_;
  PlanLayouts layouts_;
  std::vector<NodeSender> senders_;
  std::vector<PairExchange> live_;
  std::vector<std::uint32_t> place_;  // in live_, of each of the plan's pairs; kGone for those that are done
  std::size_t watched_ = 0;           // pairs that check_peers() has asked about in turn
  bool deserted_ = false;
  SelfCopy self_;
  OnStream on_stream_;
  device::QueueTraffic gpu_before_;
};

}  // namespace mpix::engine
