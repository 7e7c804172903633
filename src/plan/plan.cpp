// SPDX-License-Identifier: BSD-3-Clause
#include "plan/plan.hpp"

#include <algorithm>
#include <utility>

namespace mpix::plan {
namespace {

StoreRule store_rule(std::int64_t bytes, const Config& config) {
  if (!config.streaming) return bytes >= kMeasuredStores ? StoreRule::measured : StoreRule::cached;
  return bytes >= *config.streaming ? StoreRule::streaming : StoreRule::cached;
}

/// Both layouts' parts, merged by peer in ascending order.
std::vector<Pair> merge(std::span<const PeerBlocks> sends, std::span<const PeerBlocks> recvs) {
  std::vector<Pair> pairs;
  pairs.reserve(std::max(sends.size(), recvs.size()));
  auto send = sends.begin();
  auto recv = recvs.begin();
  while (send != sends.end() || recv != recvs.end()) {
    const bool take_send = send != sends.end() && (recv == recvs.end() || send->peer <= recv->peer);
    const bool take_recv = recv != recvs.end() && (send == sends.end() || recv->peer <= send->peer);
    Pair pair;
    pair.peer = take_send ? send->peer : recv->peer;
    if (take_send) pair.send = &(send++)->blocks;
    if (take_recv) pair.recv = &(recv++)->blocks;
    pairs.push_back(pair);
  }
  return pairs;
}

}  // namespace

std::int64_t Plan::memory() const noexcept {
  return static_cast<std::int64_t>(sizeof(Plan) + pairs.capacity() * sizeof(Pair));
}

std::optional<std::size_t> Plan::pair_with(int peer) const noexcept {
  const auto before = [this](int a, int b) { return std::pair(a < rank, a) < std::pair(b < rank, b); };
  const auto found = std::lower_bound(pairs.begin(), pairs.end(), peer,
                                      [&](const Pair& pair, int value) { return before(pair.peer, value); });
  if (found == pairs.end() || found->peer != peer) return {};
  return static_cast<std::size_t>(found - pairs.begin());
}

Plan make_plan(int rank, const Layout& send, const Layout& recv, bool in_place, const Config& config) {
  Plan plan;
  plan.rank = rank;
  plan.in_place = in_place;
  plan.pairs = merge(send.parts(), recv.parts());
  auto after = std::lower_bound(plan.pairs.begin(), plan.pairs.end(), rank,
                                [](const Pair& pair, int value) { return pair.peer < value; });
  if (after != plan.pairs.end() && after->peer == rank) {
    plan.self = *after;
    after = plan.pairs.erase(after);
  }
  std::rotate(plan.pairs.begin(), after, plan.pairs.end());
  plan.send_layout = &send;
  plan.recv_layout = &recv;
  plan.send_bytes = send.bytes();
  plan.recv_bytes = recv.bytes();
  plan.send_lb = send.true_lb();
  plan.send_ub = send.true_ub();
  plan.recv_lb = recv.true_lb();
  plan.stores = store_rule(plan.recv_bytes, config);
  return plan;
}

}  // namespace mpix::plan
