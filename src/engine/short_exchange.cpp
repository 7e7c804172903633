// SPDX-License-Identifier: BSD-3-Clause
#include "engine/short_exchange.hpp"

#include <algorithm>
#include <numeric>

#include "base/backoff.hpp"
#include "engine/exchange.hpp"

namespace mpix::engine {
namespace {

using transport::Announcement;
using transport::AnnouncementView;
using transport::Channel;

/// Most that a rank has for itself: it copies that before it looks at what comes.
constexpr std::int64_t kMostForSelf = 64 << 10;

std::int64_t bytes_of(const kernels::Blocks* blocks) noexcept {
  return blocks != nullptr ? blocks->bytes : 0;
}

}  // namespace

bool ShortExchange::suits(const BoundPlan& bound) noexcept {
  const plan::Plan& plan = bound.plan;
  if (!bound.routes.empty() || bytes_of(plan.self.send) != bytes_of(plan.self.recv) ||
      bytes_of(plan.self.send) > kMostForSelf)
    return false;
  for (std::size_t i = 0; i < plan.pairs.size(); ++i) {
    const Channel& channel = *bound.links[i]->channel;
    const auto limit = static_cast<std::int64_t>(channel.inline_limit());
    if (!channel.same_node() || bytes_of(plan.pairs[i].send) > limit || bytes_of(plan.pairs[i].recv) > limit)
      return false;
  }
  return true;
}

bool ShortExchange::run(const Context& context, const BoundPlan& bound, std::uint64_t number,
                        const std::byte* send, std::byte* recv, std::int64_t looks) {
  announced_ = 0;
  copied_ = false;
  traffic_ = {};
  pending_.resize(bound.plan.pairs.size());
  std::iota(pending_.begin(), pending_.end(), 0u);
  if (!announce_all(context, bound, number, send)) return false;
  copy_self(context, bound, send, recv);
  for (bool happened = false; !pending_.empty(); happened = false) {
    if (!take_all(context, bound, number, recv, happened)) return false;
    if (happened) continue;
    if (--looks <= 0) return false;
    cpu_relax();
  }
  return true;
}

/// False where a peer has not read what it was sent before: there is no room.
bool ShortExchange::announce_all(const Context& context, const BoundPlan& bound, std::uint64_t number,
                                 const std::byte* send) noexcept {
  for (const plan::Pair& pair : bound.plan.pairs) {
    Channel& channel = *bound.links[announced_]->channel;
    std::byte* const room = channel.announce_begin();
    if (room == nullptr) return false;
    Announcement announcement{number, bytes_of(pair.send), bytes_of(pair.recv)};
    announcement.inline_bytes = static_cast<std::uint32_t>(announcement.send_bytes);
    announcement.abilities = abilities_for(channel, pair, bound.config);
    if (pair.send != nullptr) {
      kernels::Cursor cursor;
      context.kernels->gather(send, *pair.send, cursor, room, announcement.inline_bytes,
                              kernels::Stores::cached);
    }
    if (!channel.announce_commit(announcement).ok()) return false;
    bound.links[announced_]->announced = number;
    traffic_.inlined += announcement.send_bytes;
    ++announced_;
  }
  return true;
}

void ShortExchange::copy_self(const Context& context, const BoundPlan& bound, const std::byte* send,
                              std::byte* recv) noexcept {
  const plan::Pair& self = bound.plan.self;
  copied_ = true;
  if (self.send == nullptr || bound.plan.in_place) return;
  const kernels::Stores stores =
      bound.plan.stores == plan::StoreRule::streaming ? kernels::Stores::streaming : kernels::Stores::cached;
  kernels::Cursor from, to;
  context.kernels->copy(recv, *self.recv, to, send, *self.send, from,
                        static_cast<std::size_t>(self.send->bytes), stores);
  traffic_.self = self.send->bytes;
}

ShortExchange::Met ShortExchange::take(const Context& context, const BoundPlan& bound, std::uint64_t number,
                                       std::size_t pair, std::byte* recv) noexcept {
  Channel& channel = *bound.links[pair]->channel;
  const AnnouncementView* const view = channel.announcement();
  if (view == nullptr) return Met::not_yet;
  const plan::Pair& expected = bound.plan.pairs[pair];
  const Announcement& theirs = view->header;
  if (theirs.exchange != number || theirs.recv_bytes != bytes_of(expected.send) ||
      theirs.send_bytes != bytes_of(expected.recv) || theirs.inline_bytes != theirs.send_bytes)
    return Met::otherwise;
  if (expected.recv != nullptr) {
    kernels::Cursor cursor;
    context.kernels->scatter(recv, *expected.recv, cursor, view->payload, theirs.inline_bytes,
                             kernels::Stores::cached);
  }
  channel.pop_announcement();
  return Met::yes;
}

/// One look at everybody who is awaited; false where somebody has sent what only an Exchange understands.
bool ShortExchange::take_all(const Context& context, const BoundPlan& bound, std::uint64_t number,
                             std::byte* recv, bool& happened) noexcept {
  bool understood = true;
  const auto taken = [&](std::uint32_t pair) {
    const Met met = understood ? take(context, bound, number, pair, recv) : Met::not_yet;
    understood &= met != Met::otherwise;
    return met == Met::yes;
  };
  happened = std::erase_if(pending_, taken) > 0;
  return understood;
}

}  // namespace mpix::engine
