// SPDX-License-Identifier: BSD-3-Clause
#include "engine/engine.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "base/text.hpp"

namespace mpix::engine {
namespace {

constexpr std::size_t kRecentPlans = 8;
constexpr std::size_t kSpareExchanges = 4;
constexpr auto kCheckInterval = std::chrono::milliseconds(100);
constexpr auto kReportInterval = std::chrono::seconds(5);
constexpr auto kLongestPause = std::chrono::seconds(1);
/// Yields of a waiting rank between two looks at the surroundings, and at the clock.
constexpr std::int64_t kIdleInterval = 4;
constexpr std::int64_t kClockInterval = 64;
/// Looks of a short exchange at what comes, before it becomes one that can wait.
constexpr std::int64_t kShortLooks = 100;

/// For a sentence that says where received data is stored.
const char* describe(plan::StoreRule rule) noexcept {
  switch (rule) {
    case plan::StoreRule::cached:
      return "received data goes to the caches";
    case plan::StoreRule::streaming:
      return "received data is stored past the caches (MPIX_LAYOUT_STREAMING)";
    case plan::StoreRule::measured:
      break;
  }
  return "received data goes to the caches or past them, as was faster before";
}

}  // namespace

Engine::Engine(Context context, Config config, Surroundings surroundings, std::unique_ptr<Relay> relay)
    : context_(context),
      config_(std::move(config)),
      surroundings_(std::move(surroundings)),
      relay_(std::move(relay)),
      gpu_queues_(context.gpus),
      backoff_(config_.spin) {
  context_.relay = relay_.get();
}

Link& Engine::link(int peer) {
  auto& link = links_[peer];
  if (link == nullptr) {
    auto made = std::make_unique<Link>();
    made->channel = &surroundings_.route(peer).connect(peer);
    link = std::move(made);
  }
  return *link;
}

const std::shared_ptr<const BoundPlan>& Engine::bind(const Layout& send, const Layout& recv, bool in_place) {
  const PlanKey key{send.serial(), recv.serial(), in_place};
  const auto known =
      std::find_if(recent_.begin(), recent_.end(), [&](const auto& entry) { return entry.first == key; });
  if (known == recent_.end()) {
    if (recent_.size() == kRecentPlans) recent_.pop_back();
    recent_.insert(recent_.begin(), {key, bind_once(send, recv, in_place)});
  } else {
    std::rotate(recent_.begin(), known, known + 1);
    std::shared_ptr<const BoundPlan>& bound = recent_.front().second;
    if (bound->held_back && others_forward()) bound = bind_once(send, recv, in_place);
    note_reuse(*bound);
  }
  return recent_.front().second;
}

std::shared_ptr<BoundPlan> Engine::bind_once(const Layout& send, const Layout& recv, bool in_place) {
  std::shared_ptr<BoundPlan> bound = bind(send, recv, in_place, config_, others_forward());
  if (relay_ != nullptr) bound->most_from_one = most_from_one(*bound);
  return bound;
}

/// Whether packets of other nodes have come of late.
bool Engine::others_forward() const noexcept {
  constexpr std::uint64_t kOfLate = 2;
  return last_forwarded_ > 0 && last_forwarded_ + kOfLate > exchanges_;
}

std::shared_ptr<BoundPlan> Engine::bind_to_reuse(const Layout& send, const Layout& recv, bool in_place,
                                                 const Config& config, bool others_forward) {
  std::shared_ptr<BoundPlan> bound = bind(send, recv, in_place, config, others_forward);
  note_reuse(*bound);
  return bound;
}

std::shared_ptr<BoundPlan> Engine::bind(const Layout& send, const Layout& recv, bool in_place,
                                        const Config& config, bool others_forward) {
  auto bound = std::make_shared<BoundPlan>();
  bound->config = config;
  bound->plan = plan::make_plan(context_.rank, send, recv, in_place, config);
  bound->links.reserve(bound->plan.pairs.size());
  for (const plan::Pair& pair : bound->plan.pairs) bound->links.push_back(&link(pair.peer));
  bound->lingers = relay_ != nullptr;
  bound->numbers = &repeats_;
  if (relay_ != nullptr && !in_place) add_routes(*bound, others_forward);
  bound->is_short = relay_ == nullptr && surroundings_.progressing.empty() && ShortExchange::suits(*bound);
  add_repeats(*bound, false);
  log_choice(*bound);
  return bound;
}

void Engine::note_reuse(const BoundPlan& bound) {
  if (!std::exchange(bound.reused, true) && bound.config.kept_lists > 0) add_repeats(bound, true);
}

void Engine::log_choice(const BoundPlan& bound) const {
  if (!log::enabled(log::Level::info)) return;
  const auto is_near = [](const Link* link) { return link->channel->same_node(); };
  const auto near = std::count_if(bound.links.begin(), bound.links.end(), is_near);
  const plan::Plan& plan = bound.plan;
  log::info("exchange of ", plan.send_bytes, " bytes out and ", plan.recv_bytes, " in with ", near,
            " ranks by shared memory and ", bound.links.size() - static_cast<std::size_t>(near),
            " by the network; ", plan.in_place ? "in place; " : "", describe(plan.stores));
  if (relay_ == nullptr) return;
  std::int64_t total = 0, unique = 0, aggregated = 0;
  for (const NodeRoute& route : bound.routes) {
    total += route.send.total_bytes;
    unique += route.send.unique_bytes;
    aggregated += route.aggregated ? 1 : 0;
  }
  log::info(
      unique, " bytes for ", bound.routes.size(), " nodes through forwarders, whose ranks get ", total,
      " by them; to ", aggregated,
      " of these nodes all messages go as one; other nodes get theirs rank by rank (MPIX_LAYOUT_ROUTE)");
}

/// What this rank's network interface had to do, for the first exchange that used it; for all at debug.
void Engine::log_load(const Exchange& exchange) {
  const Traffic& traffic = exchange.traffic();
  if (traffic.net == 0 && traffic.forwarded == 0 && traffic.helped == 0) return;
  const log::Level level = std::exchange(load_logged_, true) ? log::Level::debug : log::Level::info;
  const std::string& devices = relay_->devices();
  log::print(level, "exchange ", exchange.number(), ", rank ", context_.rank, ", by ",
             devices.empty() ? "the network devices that UCX chose" : devices, ": ",
             traffic.net - traffic.given + traffic.helped, " bytes to other nodes, ", traffic.helped,
             " of them for other ranks of this node; ", traffic.given, " more were sent by these; ",
             traffic.forwarded, " bytes came to be forwarded");
}

Buffers Engine::buffers_of(const BoundPlan& bound, const void* sendbuf, void* recvbuf) {
  const plan::Plan& plan = bound.plan;
  Buffers buffers;
  buffers.send = static_cast<const std::byte*>(plan.in_place ? recvbuf : sendbuf);
  buffers.recv = static_cast<std::byte*>(recvbuf);
  if (gpu_queues_.gpus() == nullptr) return buffers;  // nor has a layout lists on one
  let_streams_go(plan, buffers);
  if (plan.send_bytes > 0) {
    GpuSide& side = buffers.send_gpu;
    side.queue = gpu_queues_.queue_for(buffers.send + plan.send_lb, side.facts);
    std::vector<const plan::NodeSend*> routes;
    for (const NodeRoute& route : bound.routes) routes.push_back(&route.send);
    if (plan.send_layout->gpu() != (side ? side.queue->number() : 0)) plan.send_layout->list_on_host();
    if (side) side.mirror = &bound.mirrors.send(plan, routes, *side.queue);
  }
  if (plan.recv_bytes > 0) {
    GpuSide& side = buffers.recv_gpu;
    side.queue = gpu_queues_.queue_for(buffers.recv + plan.recv_lb, side.facts);
    if (plan.recv_layout->gpu() != (side ? side.queue->number() : 0)) plan.recv_layout->list_on_host();
    if (side) side.mirror = &bound.mirrors.recv(plan, *side.queue);
  }
  return buffers;
}

OnStream Engine::follow_stream(const Buffers& buffers, const Order& order) {
  if (!order) return {};
  for (const GpuSide* const side : {&buffers.send_gpu, &buffers.recv_gpu})
    if (*side) side->queue->prepare();
  return order();
}

/// Where a GPU has to be set up for these buffers, which may wait for streams that wait for other exchanges:
/// brings these to their end first. Gives the lock up meanwhile.
void Engine::let_streams_go(const plan::Plan& plan, const Buffers& buffers) {
  const auto lacks_queue = [&] {
    return (plan.send_bytes > 0 && gpu_queues_.lacks_queue_for(buffers.send + plan.send_lb)) ||
           (plan.recv_bytes > 0 && gpu_queues_.lacks_queue_for(buffers.recv + plan.recv_lb));
  };
  backoff_.reset();
  while (gpu_queues_.gpus()->held() && lacks_queue()) {
    if (progress()) continue;
    lock_.unlock();
    if (surroundings_.idle) surroundings_.idle();
    lock_.lock();
    backoff_.pause();
  }
}

bool Engine::exchange_at_once(const BoundPlan& bound, const void* sendbuf, void* recvbuf, Traffic& traffic) {
  if (!bound.is_short || !active_.empty()) return false;
  if (gpu_queues_.gpus() != nullptr) {
    const Buffers buffers = buffers_of(bound, sendbuf, recvbuf);
    if (buffers.send_gpu || buffers.recv_gpu || !active_.empty()) return false;
  }
  const void* const from = bound.plan.in_place ? recvbuf : sendbuf;
  const std::int64_t looks = std::min(config_.spin, kShortLooks);
  const bool done = short_.run(context_, bound, exchanges_ + 1, static_cast<const std::byte*>(from),
                               static_cast<std::byte*>(recvbuf), looks);
  ++exchanges_;
  begun_ = !done;
  traffic = short_.traffic();
  return done;
}

Exchange* Engine::start(std::shared_ptr<const BoundPlan> plan, PlanLayouts layouts, const void* sendbuf,
                        void* recvbuf, const Order& order) {
  const bool begun = std::exchange(begun_, false);
  Buffers buffers = buffers_of(*plan, sendbuf, recvbuf);
  OnStream on_stream = follow_stream(buffers, order);
  buffers.storing = store_choices_.next(plan->plan, plan->reused ? &plan->store_trials : nullptr);
  if (spare_.empty()) spare_.push_back(std::make_unique<Exchange>(context_));
  active_.reserve(active_.size() + 1);
  Exchange* const exchange = spare_.back().get();
  if (!begun) ++exchanges_;
  exchange->start(exchanges_, std::move(plan), std::move(layouts), buffers, std::move(on_stream),
                  gpu_queues_.traffic(), begun ? short_.begun() : Begun{});
  std::erase_if(handed_on_early_, [&](const auto& early) {
    if (early.first == exchanges_) exchange->count_forwarded(early.second);
    return early.first <= exchanges_;
  });
  if (relay_ != nullptr) relay_->tell_expected(exchanges_, exchange->plan().most_from_one);
  active_.push_back({std::move(spare_.back()), {}, {}, false});
  spare_.pop_back();
  take_packets();
  return exchange;
}

/// Lets forwarders hand on packets up to the first exchange that still waits for a stream. What they have
/// handed on must not wait here: it would be in front of packets of earlier exchanges.
void Engine::take_packets() noexcept {
  if (relay_ == nullptr) return;
  std::uint64_t through = exchanges_;
  for (const Active& active : active_)
    if (!active.exchange->open()) through = std::min(through, active.exchange->number() - 1);
  relay_->takes(through);
}

Traffic Engine::traffic_of(Exchange& exchange) const noexcept {
  exchange.count_gpu(gpu_queues_.traffic());
  return exchange.traffic();
}

void Engine::finish(Exchange* exchange) noexcept {
  const auto found = std::find_if(active_.begin(), active_.end(),
                                  [&](const Active& a) { return a.exchange.get() == exchange; });
  if (found == active_.end()) return;
  if (relay_ != nullptr && log::enabled(log::Level::info)) log_load(*exchange);
  if (exchange->error().ok()) exchange->note_storing();
  exchange->release();
  if (spare_.size() < kSpareExchanges) spare_.push_back(std::move(found->exchange));
  active_.erase(found);
  take_packets();
  if (relay_ != nullptr) tell_node();  // it may have ended before the first progress()
}

void Engine::wait(Exchange& exchange) noexcept {
  backoff_.reset();
  std::int64_t yields = 0;
  while (!exchange.done()) {
    if (progress()) {
      backoff_.reset();
      continue;
    }
    if (!backoff_.pause()) continue;
    ++yields;
    if (yields % kClockInterval == 0) check_stalled();
    if (yields % kIdleInterval == 0 && surroundings_.idle) {
      lock_.unlock();
      surroundings_.idle();
      lock_.lock();
    }
  }
}

bool Engine::progress_transports() noexcept {
  bool happened = false;
  for (transport::Transport* const transport : surroundings_.progressing) {
    const Status status = transport->progress(happened);
    if (!status.ok() && transport_error_.ok()) {
      transport_error_ = status;
      log::error(transport->name(), ": ", status.message());
    }
  }
  return happened;
}

bool Engine::progress() noexcept {
  bool happened = progress_transports();
  for (Active& active : active_) {
    if (!active.exchange->done() && active.exchange->progress()) {
      active.stalled = false;
      happened = true;
    }
    if (active.exchange->done()) active.exchange->release_stream();
  }
  if (relay_ != nullptr) happened |= progress_relay();
  return gpu_queues_.progress() || happened;
}

bool Engine::progress_relay() noexcept {
  if (active_.empty()) return false;
  bool happened = false;
  take_packets();
  const Status status = relay_->progress(context_, *this, happened);
  for (Active& active : active_) {
    if (!status.ok()) active.exchange->desert(status);
    if (happened) active.stalled = false;
  }
  tell_node();
  return happened;
}

/// Tells the ranks of the node up to which exchange this one has finished, and has nothing more to send.
void Engine::tell_node() noexcept {
  std::uint64_t through = exchanges_, idle = exchanges_;
  for (const Active& active : active_) {
    const std::uint64_t before = active.exchange->number() - 1;
    if (!active.exchange->finished()) through = std::min(through, before);
    if (!active.exchange->sent()) idle = std::min(idle, before);
  }
  relay_->finished(through);
  relay_->idle(idle);
}

Taken Engine::deliver(const PacketHeader& header, const PacketPart& part) noexcept {
  if (header.exchange > exchanges_) return Taken::not_now;
  Exchange* const exchange = active(header.exchange);
  return exchange == nullptr ? Taken::all : exchange->take(header.source, part);
}

Exchange* Engine::active(std::uint64_t exchange) noexcept {
  for (Active& active : active_)
    if (active.exchange->number() == exchange) return active.exchange.get();
  return nullptr;
}

void Engine::forwarded(std::uint64_t exchange, std::int64_t bytes) noexcept {
  last_forwarded_ = std::max(last_forwarded_, exchange);
  if (Exchange* const found = active(exchange); found != nullptr) return found->count_forwarded(bytes);
  if (exchange <= exchanges_) return;
  try {
    handed_on_early_.emplace_back(exchange, bytes);
  } catch (const std::bad_alloc&) {  // it will leave the exchange with the others
  }
}

void Engine::helped(std::uint64_t exchange, std::int64_t bytes) noexcept {
  if (Exchange* const found = active(exchange); found != nullptr) found->count_helped(bytes);
}

/// Whether all ranks of this node are alive, where exchanges depend on them.
Status Engine::check_node() noexcept {
  if (relay_ == nullptr) return {};
  try {
    for (const int rank : relay_->nodes().ranks(relay_->node()))
      if (rank != context_.rank)
        if (Status status = link(rank).channel->check_peer(); !status.ok())
          return {status.code(), text("forwarding on this node: ", status.message())};
    return {};
  } catch (const Error& error) {
    return error.status();
  } catch (const std::exception& error) {
    return {Code::no_memory, error.what()};
  }
}

void Engine::check_stalled() noexcept {
  const Clock::time_point now = Clock::now();
  if (now < last_check_ + kCheckInterval) return;
  const auto unwatched = now - last_check_ - kLongestPause;
  last_check_ = now;
  for (Active& active : active_) {
    if (active.exchange->done()) continue;
    if (!active.exchange->open()) active.stalled = false;  // its stream may take as long as it likes
    if (!active.stalled) {
      active.stalled = true;
      active.last_progress = active.last_report = now;
      continue;
    }
    if (now - active.last_report >= kReportInterval) {
      active.last_report = now;
      log::info("no progress; waiting for ", active.exchange->awaited());
    }
    // Time in which the application did not let the library progress does not count.
    if (unwatched > Clock::duration::zero()) active.last_progress += unwatched;
    active.exchange->check_peers();
    if (const Status status = check_node(); !status.ok()) active.exchange->desert(status);
    const double limit = active.exchange->timeout();
    if (limit > 0 && std::chrono::duration<double>(now - active.last_progress).count() >= limit)
      active.exchange->time_out();
  }
}

}  // namespace mpix::engine
