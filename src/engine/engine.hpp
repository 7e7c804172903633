// SPDX-License-Identifier: BSD-3-Clause
/// The exchanges of one communicator on this rank: numbering, plans in use, progress, waiting, timeouts.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/backoff.hpp"
#include "engine/exchange.hpp"

namespace mpix::engine {

/// What an engine asks of its surroundings.
struct Surroundings {
  std::function<transport::Transport&(int peer)> route;  ///< the transport that reaches a peer
  std::vector<transport::Transport*> progressing;        ///< those that need Transport::progress
  std::function<void()>
      idle;  ///< called now and then while waiting: lets MPI and other communicators progress
};

/// Not thread-safe by itself: everything but lock() is called with the lock held.
class Engine final : RelayClient {
 public:
  /// `relay`: null where nothing is sent through forwarders, on all ranks alike.
  Engine(Context context, Config config, Surroundings surroundings, std::unique_ptr<Relay> relay = nullptr);

  SpinLock& lock() noexcept { return lock_; }

  /// The plan of two layouts of this communicator, from the recently used ones if it is there. Throws Error
  /// where a peer cannot be reached. Valid until the next call.
  const std::shared_ptr<const BoundPlan>& bind(const Layout& send, const Layout& recv, bool in_place);
  /// A plan with a configuration of its own, not kept, to be executed again and again. `others_forward`:
  /// routes are chosen knowing that other ranks forward.
  std::shared_ptr<BoundPlan> bind_to_reuse(const Layout& send, const Layout& recv, bool in_place,
                                           const Config& config, bool others_forward = false);
  /// For each rank of the communicator, the bytes of this one's that come to it in packets in an exchange of
  /// the plan; none where nothing goes through forwarders. See BoundPlan::passing.
  std::vector<std::int64_t> passing_through(const BoundPlan& bound) const;

  /// Exchanges what is short between ranks of this node, if they come to it soon; see ShortExchange. True:
  /// that was all, and `traffic` says what was moved. False: start() is to be called next, with the same
  /// arguments, and goes on from there. Throws as start() does.
  bool exchange_at_once(const BoundPlan& bound, const void* sendbuf, void* recvbuf, Traffic& traffic);
  /// Whether start() will go on from there.
  bool begun() const noexcept { return begun_; }
  /// Starts an exchange; the pointer is valid until finish(). `order`: empty where the exchange follows no
  /// stream. Throws Error where a GPU's buffer cannot be used, and what `order` throws.
  Exchange* start(std::shared_ptr<const BoundPlan> plan, PlanLayouts layouts, const void* sendbuf,
                  void* recvbuf, const Order& order = {});
  /// What an exchange that is done has moved.
  Traffic traffic_of(Exchange& exchange) const noexcept;
  /// Takes back an exchange that is done.
  void finish(Exchange* exchange) noexcept;
  /// Progresses until `exchange` is done. Gives the lock up while it yields.
  void wait(Exchange& exchange) noexcept;
  /// One pass over all exchanges; returns whether anything happened.
  bool progress() noexcept;
  /// Looks for dead peers and timeouts, at most once in a while; to be called when progress() found nothing.
  void check_stalled() noexcept;
  bool idle() const noexcept { return active_.empty(); }
  const Config& config() const noexcept { return config_; }
  /// Whether exchanges may go through forwarders, on all ranks alike.
  bool forwards() const noexcept { return relay_ != nullptr; }

 private:
  using Clock = std::chrono::steady_clock;
  struct PlanKey {
    std::uint64_t send = 0, recv = 0;
    bool in_place = false;
    friend bool operator==(const PlanKey&, const PlanKey&) = default;
  };
  struct Active {
    std::unique_ptr<Exchange> exchange;
    Clock::time_point last_progress, last_report;
    bool stalled = false;  ///< last_progress is set: nothing happened since then
  };

  std::shared_ptr<BoundPlan> bind(const Layout& send, const Layout& recv, bool in_place, const Config& config,
                                  bool others_forward = false);
  std::shared_ptr<BoundPlan> bind_once(const Layout& send, const Layout& recv, bool in_place);
  bool others_forward() const noexcept;
  Link& link(int peer);
  Buffers buffers_of(const BoundPlan& plan, const void* sendbuf, void* recvbuf);
  void let_streams_go(const plan::Plan& plan, const Buffers& buffers);
  OnStream follow_stream(const Buffers& buffers, const Order& order);
  void add_routes(BoundPlan& bound, bool others_forward);
  void add_lanes(NodeRoute& route, const Config& config);
  std::uint32_t most_from_one(const BoundPlan& bound) const;
  void add_repeats(const BoundPlan& bound, bool is_short) const noexcept;
  void find_repeats(const BoundPlan& bound, bool is_short) const;
  void note_reuse(const BoundPlan& bound);
  void take_packets() noexcept;
  bool progress_relay() noexcept;
  void tell_node() noexcept;
  Taken deliver(const PacketHeader& header, const PacketPart& part) noexcept override;
  void forwarded(std::uint64_t exchange, std::int64_t bytes) noexcept override;
  void helped(std::uint64_t exchange, std::int64_t bytes) noexcept override;
  Exchange* active(std::uint64_t exchange) noexcept;
  Status check_node() noexcept;
  void log_choice(const BoundPlan& bound) const;
  void log_load(const Exchange& exchange);
  bool progress_transports() noexcept;

  Context context_;
  Config config_;
  Surroundings surroundings_;
  std::unique_ptr<Relay> relay_;
  GpuQueues gpu_queues_;  // outlives what uses them: plans and exchanges
  SpinLock lock_;
  Backoff backoff_;
  std::uint64_t exchanges_ = 0;
  std::uint64_t last_forwarded_ = 0;  // the last in which a packet of another node came
  std::uint32_t repeats_ = 0;         // see BoundPlan::numbers
  std::unordered_map<int, std::unique_ptr<Link>> links_;
  ShortExchange short_;
  bool begun_ = false;          // by short_, and not at its end
  std::vector<Active> active_;  // in the order of their numbers
  std::vector<std::unique_ptr<Exchange>> spare_;
  std::vector<std::pair<std::uint64_t, std::int64_t>> handed_on_early_;  // exchanges not begun yet, bytes
  std::vector<std::pair<PlanKey, std::shared_ptr<const BoundPlan>>> recent_;  // most recently used first
  Clock::time_point last_check_{};
  StoreChoices store_choices_;
  bool load_logged_ = false;
  Status transport_error_;
};

}  // namespace mpix::engine
