// SPDX-License-Identifier: BSD-3-Clause
#include "engine/exchange.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace mpix::engine {
namespace {

/// Bytes for itself that a rank copies before it looks at its peers again.
constexpr std::int64_t kSelfSlice = 256 << 10;
/// Peers named in a message.
constexpr std::size_t kNamedPeers = 4;

}  // namespace

void Exchange::start(std::uint64_t number, std::shared_ptr<const BoundPlan> plan, PlanLayouts layouts,
                     const void* sendbuf, void* recvbuf) {
  bound_ = std::move(plan);
  layouts_ = std::move(layouts);
  const Context* const context = run_.context;
  run_ = Run{};
  run_.context = context;
  run_.plan = &bound_->plan;
  run_.config = &bound_->config;
  run_.exchange = number;
  run_.send_base = static_cast<const std::byte*>(bound_->plan.in_place ? recvbuf : sendbuf);
  run_.recv_base = static_cast<std::byte*>(recvbuf);
  run_.stores = bound_->plan.streaming ? kernels::Stores::streaming : kernels::Stores::cached;
  deserted_ = false;
  senders_.clear();
  senders_.reserve(bound_->routes.size());
  for (const NodeRoute& route : bound_->routes) senders_.emplace_back(route);
  live_.clear();
  live_.reserve(bound_->links.size());
  for (std::size_t i = 0; i < bound_->links.size(); ++i) {
    const int route = bound_->routes.empty() ? -1 : bound_->route_of[i];
    NodeSender* const sender = route < 0 ? nullptr : &senders_[static_cast<std::size_t>(route)];
    live_.emplace_back(bound_->plan.pairs[i], *bound_->links[i], sender,
                       bound_->repeats.empty() ? nullptr : bound_->repeats[i].get());
    live_.back().enter(run_);
  }
  for (PairExchange& pair : live_) pair.announce(run_);
  start_self();
}

void Exchange::start_self() {
  const plan::Pair& self = bound_->plan.self;
  const std::int64_t sends = self.send ? self.send->bytes : 0;
  const std::int64_t expects = self.recv ? self.recv->bytes : 0;
  const int rank = run_.context->rank;
  self_left_ = 0;
  self_send_ = self_recv_ = {};
  self_range_ = 0;
  self_places_ = {};
  if (sends != expects)
    run_.fail({Code::mismatch, text("rank ", rank, " sends ", sends, " bytes to rank ", rank,
                                    ", which expects ", expects, " bytes from it")});
  else if (!bound_->plan.in_place)
    self_left_ = sends;
}

bool Exchange::progress() noexcept {
  bool happened = false;
  for (NodeSender& sender : senders_) happened |= sender.step(run_);
  for (PairExchange& pair : live_) happened |= pair.step(run_);
  drop_done();
  if (self_left_ > 0 && (!happened || live_.empty()))
    happened |= bound_->self_repeats != nullptr ? copy_self_repeats(kSelfSlice) : copy_self(kSelfSlice);
  return happened;
}

void Exchange::drop_done() noexcept {
  for (std::size_t i = 0; i < live_.size();) {
    if (!live_[i].done()) {
      ++i;
      continue;
    }
    if (i + 1 < live_.size()) live_[i] = std::move(live_.back());
    live_.pop_back();
  }
}

bool Exchange::copy_self(std::int64_t most) noexcept {
  const std::int64_t bytes = std::min(most, self_left_);
  const plan::Pair& self = bound_->plan.self;
  run_.context->kernels->copy(run_.recv_base, *self.recv, self_recv_, run_.send_base, *self.send, self_send_,
                              static_cast<std::size_t>(bytes), run_.stores);
  self_left_ -= bytes;
  run_.traffic.self += bytes;
  return true;
}

/// Range by range, so that each is read once.
bool Exchange::copy_self_repeats(std::int64_t most) noexcept {
  const plan::NodeSend& send = *bound_->self_repeats;
  for (std::int64_t done = 0; done < most && self_left_ > 0; ++self_range_) {
    const auto range = static_cast<std::size_t>(self_range_);
    for (std::int64_t d = send.first[range]; d < send.first[range + 1]; ++d) {
      kernels::Cursor to =
          self_places_.cursor(*bound_->plan.self.recv, send.deliveries[static_cast<std::size_t>(d)].offset);
      run_.context->kernels->scatter(run_.recv_base, *bound_->plan.self.recv, to,
                                     run_.send_base + send.offsets[range],
                                     static_cast<std::size_t>(send.lengths[range]), run_.stores);
      done += send.lengths[range];
      self_left_ -= send.lengths[range];
      run_.traffic.self += send.lengths[range];
    }
  }
  return true;
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
  return bound_->lingers && !deserted_ && !run_.context->relay->node_finished(run_.exchange);
}

void Exchange::desert(const Status& status) noexcept {
  run_.fail(status);
  for (NodeSender& sender : senders_) sender.abandon();
  for (PairExchange& pair : live_) pair.abandon(run_);
  live_.clear();
  deserted_ = true;
}

Taken Exchange::take(int source, std::span<const PacketEntry> entries, const std::byte* data) noexcept {
  const auto pair =
      std::find_if(live_.begin(), live_.end(), [&](const PairExchange& p) { return p.peer() == source; });
  return pair == live_.end() || pair->take(run_, entries, data) ? Taken::all : Taken::not_now;
}

void Exchange::check_peers() noexcept {
  for (NodeSender& sender : senders_) {
    if (sender.done()) continue;
    const Status status = sender.check_forwarders();
    if (status.ok()) continue;
    run_.fail(status);
    sender.abandon();
  }
  for (PairExchange& pair : live_) {
    Status status = pair.channel().check_peer();
    if (status.ok()) continue;
    run_.fail({status.code(), text("waiting for ", pair.awaited(), ": ", status.message())});
    pair.abandon(run_);
  }
  drop_done();
}

std::string Exchange::awaited() const {
  if (finished() && bound_->lingers)
    return text("rank ", run_.context->relay->awaited(run_.exchange), ", on this node, to finish");
  std::string all;
  for (std::size_t i = 0; i < live_.size() && i < kNamedPeers; ++i)
    all += (i > 0 ? ", " : "") + live_[i].awaited();
  if (live_.empty()) return "other nodes to take what is sent to them";
  if (live_.size() > kNamedPeers) all += text(" and ", live_.size() - kNamedPeers, " more ranks");
  return all;
}

void Exchange::time_out() noexcept {
  run_.fail({Code::timeout, text("rank ", run_.context->rank, " waited ", run_.config->timeout, " s for ",
                                 awaited(), " (MPIX_LAYOUT_TIMEOUT; do all ranks list the same sizes?)")});
  deserted_ = true;
  for (NodeSender& sender : senders_) sender.abandon();
  for (PairExchange& pair : live_) pair.abandon(run_);
  live_.clear();
}

}  // namespace mpix::engine
