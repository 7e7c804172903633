// SPDX-License-Identifier: BSD-3-Clause
#include "engine/exchange.hpp"

#include <algorithm>
#include <numeric>

#include "base/text.hpp"

namespace mpix::engine {
namespace {

/// Peers named in a message.
constexpr std::size_t kNamedPeers = 4;
/// Peers that check_peers() connects at a time.
constexpr std::size_t kWatchedPeers = 4;

}  // namespace

std::int64_t repeats_memory(const BoundPlan& bound) noexcept {
  std::int64_t bytes = 0;
  for (const auto& repeats : bound.repeats)
    if (repeats != nullptr) bytes += repeats->send.memory();
  for (const auto& [pair, kept] : bound.kept)
    if (kept.places != nullptr) bytes += kept.places->memory();
  return bytes;
}

void Exchange::start(std::uint64_t number, std::shared_ptr<const BoundPlan> plan, PlanLayouts layouts,
                     const Buffers& buffers, OnStream on_stream, const device::QueueTraffic& gpu_before,
                     const Begun& begun) {
  bound_ = std::move(plan);
  layouts_ = std::move(layouts);
  on_stream_ = std::move(on_stream);
  gpu_before_ = gpu_before;
  const Context* const context = run_.context;
  run_ = Run{};
  run_.context = context;
  run_.plan = &bound_->plan;
  run_.config = &bound_->config;
  run_.exchange = number;
  run_.send_base = buffers.send;
  run_.recv_base = buffers.recv;
  run_.send_gpu = buffers.send_gpu;
  run_.recv_gpu = buffers.recv_gpu;
  run_.reused = bound_->reused;
  run_.open = on_stream_.mark == nullptr;
  run_.storing = buffers.storing;
  run_.numbers = bound_->numbers;
  if (keeps_places()) run_.kept = &bound_->kept;
  deserted_ = false;
  senders_.clear();
  senders_.reserve(bound_->routes.size());
  const std::size_t pairs = bound_->links.size();
  for (const NodeRoute& route : bound_->routes) {
    senders_.emplace_back(route, pairs + 1 + senders_.size());
    senders_.back().enter(run_);
  }
  live_.clear();
  live_.reserve(pairs);
  place_.resize(pairs);
  std::iota(place_.begin(), place_.end(), 0u);
  for (std::size_t i = 0; i < pairs; ++i) {
    const int route = bound_->routes.empty() ? -1 : bound_->route_of[i];
    NodeSender* const sender = route < 0 ? nullptr : &senders_[static_cast<std::size_t>(route)];
    live_.emplace_back(bound_->plan.pairs[i], i, *bound_->links[i], sender,
                       bound_->repeats.empty() ? nullptr : bound_->repeats[i].get());
    live_.back().enter(run_);
  }
  resume(begun);
  for (std::size_t i = begun.announced; i < pairs; ++i) live_[i].announce(run_);
  if (begun.announced > 0) drop_done();
  start_self(begun.self);
}

void Exchange::resume(const Begun& begun) noexcept {
  auto pending = begun.pending.begin();
  for (std::size_t i = 0; i < begun.announced; ++i) {
    const bool waits = pending != begun.pending.end() && *pending == i;
    if (waits) ++pending;
    live_[i].resume(run_, !waits);
  }
}

/// Whether places are kept of what comes from ranks of the node.
bool Exchange::keeps_places() const noexcept {
  return run_.reused && run_.config->kept_lists > 0 && !run_.plan->in_place && !run_.recv_gpu;
}

void Exchange::start_self(bool copied) {
  const plan::Pair& self = bound_->plan.self;
  const std::int64_t sends = self.send ? self.send->bytes : 0;
  const std::int64_t expects = self.recv ? self.recv->bytes : 0;
  const int rank = run_.context->rank;
  std::int64_t bytes = 0;
  if (sends != expects)
    run_.fail({Code::mismatch, text("rank ", rank, " sends ", sends, " bytes to rank ", rank,
                                    ", which expects ", expects, " bytes from it")});
  else if (!bound_->plan.in_place)
    bytes = sends;
  if (copied) run_.traffic.self += std::exchange(bytes, 0);
  self_.start(bytes);
}

bool Exchange::progress() noexcept {
  if (!run_.open && !opens()) return false;
  bool happened = false;
  for (NodeSender& sender : senders_) happened |= sender.step(run_);
  for (PairExchange& pair : live_) happened |= pair.step(run_);
  drop_done();
  if (!self_.done()) happened |= self_.step(run_, !happened || live_.empty());
  return gpu_failed() || happened;
}

/// Whether the stream has come to the exchange.
bool Exchange::opens() noexcept {
  Status status;
  run_.open = on_stream_.mark->reached(status);
  if (!status.ok()) desert(status);
  return run_.open || !status.ok();
}

/// Gives up where a GPU has failed.
bool Exchange::gpu_failed() noexcept {
  for (const GpuSide* const side : {&run_.send_gpu, &run_.recv_gpu}) {
    if (!*side || side->queue->error().ok()) continue;
    desert(side->queue->error());
    return true;
  }
  return false;
}

void Exchange::release_stream() noexcept {
  if (on_stream_.hold == nullptr) return;
  on_stream_.hold->release();
  on_stream_.hold.reset();
}

void Exchange::count_gpu(const device::QueueTraffic& traffic) noexcept {
  run_.traffic.launches += traffic.launches - gpu_before_.launches;
  run_.traffic.bounced += traffic.bounced - gpu_before_.bounced;
}

void Exchange::drop_done() noexcept {
  for (std::size_t i = 0; i < live_.size();) {
    if (!live_[i].done()) {
      ++i;
      continue;
    }
    place_[live_[i].index()] = kGone;
    if (i + 1 < live_.size()) {
      live_[i] = std::move(live_.back());
      place_[live_[i].index()] = static_cast<std::uint32_t>(i);
    }
    live_.pop_back();
  }
}

bool Exchange::all_sent() const noexcept {
  return std::all_of(senders_.begin(), senders_.end(),
                     [](const NodeSender& sender) { return sender.done(); });
}

bool Exchange::sent() const noexcept {
  return all_sent() && std::all_of(live_.begin(), live_.end(), [](const PairExchange& pair) {
           return pair.sent() || pair.channel().same_node();
         });
}

bool Exchange::lingering() const noexcept {
  if (!bound_->lingers || deserted_) return false;
  if (bound_->passing != kUnknownPassing && run_.traffic.forwarded >= bound_->passing) return false;
  return !run_.context->relay->unneeded(run_.exchange);
}

void Exchange::desert(const Status& status) noexcept {
  run_.fail(status);
  for (NodeSender& sender : senders_) sender.abandon(run_);
  for (PairExchange& pair : live_) pair.abandon(run_);
  live_.clear();
  std::fill(place_.begin(), place_.end(), kGone);
  self_.abandon(run_);
  deserted_ = run_.open = true;
}

/// The pair with `peer`; null where there is none, or it is done.
PairExchange* Exchange::live_pair(int peer) noexcept {
  const std::optional<std::size_t> index = bound_->plan.pair_with(peer);
  if (!index || place_[*index] == kGone) return nullptr;
  return &live_[place_[*index]];
}

Taken Exchange::take(int source, const PacketPart& part) noexcept {
  if (!open()) return Taken::not_now;
  PairExchange* const pair = live_pair(source);
  if (pair == nullptr) return Taken::all;
  if (part.dest.introduces) pair->introduce(run_, part.dest.send_bytes, part.dest.recv_bytes);
  return pair->take(run_, part) ? Taken::all : Taken::not_now;
}

void Exchange::check_peers() noexcept {
  for (NodeSender& sender : senders_) {
    if (sender.done()) continue;
    const Status status = sender.check_forwarders();
    if (status.ok()) continue;
    run_.fail(status);
    sender.abandon(run_);
  }
  // Peers that packets announce this rank to may not be connected, and asking connects them: a few at a time.
  std::size_t unconnected = 0;
  for (PairExchange& pair : live_) {
    if (pair.announced_by_packets() && (unconnected++ + watched_) % (live_.size() + 1) >= kWatchedPeers)
      continue;
    Status status = pair.channel().check_peer();
    if (status.ok()) continue;
    run_.fail({status.code(), text("waiting for ", pair.awaited(), ": ", status.message())});
    pair.abandon(run_);
  }
  watched_ += kWatchedPeers;
  drop_done();
}

std::string Exchange::awaited() const {
  if (finished() && bound_->lingers) {
    if (run_.traffic.forwarded < bound_->passing)
      return text("packets of other nodes with ", bound_->passing - run_.traffic.forwarded,
                  " bytes to hand on");
    const int rank = run_.context->relay->awaited(run_.exchange);
    return rank < 0 ? "other nodes to take what is sent to them"
                    : text("rank ", rank, ", on this node, to finish");
  }
  std::string all;
  for (std::size_t i = 0; i < live_.size() && i < kNamedPeers; ++i)
    all += (i > 0 ? ", " : "") + live_[i].awaited();
  if (live_.empty()) return "other nodes to take what is sent to them";
  if (live_.size() > kNamedPeers) all += text(" and ", live_.size() - kNamedPeers, " more ranks");
  return all;
}

void Exchange::time_out() noexcept {
  desert({Code::timeout, text("rank ", run_.context->rank, " waited ", run_.config->timeout, " s for ",
                              awaited(), " (MPIX_LAYOUT_TIMEOUT; do all ranks list the same sizes?)")});
}

}  // namespace mpix::engine
