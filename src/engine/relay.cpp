// SPDX-License-Identifier: BSD-3-Clause
#include "engine/relay.hpp"

#include <utility>

#include "base/text.hpp"

namespace mpix::engine {
namespace {

using transport::Channel;
using transport::ChunkView;

/// For parts that are handed out again, here and at the receivers, for all ranks of the node together.
constexpr std::int64_t kMostKeptParts = 64 << 20;

}  // namespace

Relay::Relay(RelayParts parts)
    : parts_(std::move(parts)),
      node_(parts_.nodes.node_of(parts_.rank)),
      self_(static_cast<std::size_t>(parts_.nodes.local_of(parts_.rank))),
      kept_parts_(parts_.nodes.ranks(node_).size(),
                  kMostKeptParts / static_cast<std::int64_t>(parts_.nodes.ranks(node_).size())),
      node_channels_(parts_.nodes.ranks(node_).size()),
      seen_finished_(parts_.nodes.ranks(node_).size()),
      node_kept_(parts_.nodes.ranks(node_).size()) {
  if (parts_.node != nullptr) desk_.emplace(*parts_.board, self_);
}

Channel& Relay::network_channel(int rank) {
  return *source(rank).channel;
}

Turns& Relay::turns(int rank) {
  return source(rank).turns;
}

std::unique_ptr<SentList> Relay::sent_list(int rank, std::int64_t most) {
  return std::make_unique<SentList>(source(rank).numbers, most);
}

std::unique_ptr<SentList> Relay::sent_whole_list(int rank, std::int64_t most) {
  return std::make_unique<SentList>(source(rank).whole_numbers, most);
}

Relay::Source& Relay::source(int rank) {
  const auto known = by_rank_.find(rank);
  if (known != by_rank_.end()) return *known->second;
  auto made = std::make_unique<Source>();
  made->rank = rank;
  made->channel = &parts_.network->connect(rank);
  sources_.push_back(std::move(made));
  by_rank_.emplace(rank, sources_.back().get());
  return *sources_.back();
}

Channel& Relay::node_channel(std::size_t local) {
  if (node_channels_[local] == nullptr)
    node_channels_[local] = &parts_.node->connect(parts_.nodes.ranks(node_)[local]);
  return *node_channels_[local];
}

void Relay::takes(std::uint64_t exchange) noexcept {
  auto& mine = parts_.board->line(self_).takes;
  if (mine.load(std::memory_order_relaxed) < exchange) mine.store(exchange, std::memory_order_release);
}

void Relay::finished(std::uint64_t exchange) noexcept {
  auto& mine = parts_.board->line(self_).finished;
  if (mine.load(std::memory_order_relaxed) < exchange) mine.store(exchange, std::memory_order_release);
}

/// Errands may now come: whether this rank can read the others' memory has to be known.
void Relay::idle(std::uint64_t exchange) noexcept {
  if (!desk_) return;
  if (!std::exchange(knows_attach_, true)) {
    bool attaches = true;
    try {
      for (std::size_t local = 0; local < node_channels_.size(); ++local)
        if (local != self_) attaches &= (node_channel(local).abilities() & transport::kCanAttach) != 0;
    } catch (const std::exception&) {  // whoever needs the channel will say so
      attaches = false;
    }
    if (attaches) desk_->set_attaches();
  }
  desk_->idle(exchange);
}

void Relay::tell_expected(std::uint64_t exchange, std::uint32_t bytes) noexcept {
  auto& mine = parts_.board->line(self_).expected[exchange % memory::Board::kExpectations];
  mine.store(exchange << 32 | bytes, std::memory_order_release);
}

bool Relay::unneeded(std::uint64_t exchange) noexcept {
  return (no_packets_come(exchange) || all_finished(exchange)) && (!desk_ || desk_->flushed());
}

/// A rank that is so far ahead that it has overwritten what it expected here leaves the question open.
bool Relay::no_packets_come(std::uint64_t exchange) const noexcept {
  std::uint64_t bytes = 0;
  for (std::size_t local = 0; local < seen_finished_.size(); ++local) {
    const auto& line = parts_.board->line((self_ + local) % seen_finished_.size());
    const std::uint64_t told =
        line.expected[exchange % memory::Board::kExpectations].load(std::memory_order_acquire);
    bytes += told & UINT32_MAX;
    if (told >> 32 != (exchange & UINT32_MAX) || bytes >= static_cast<std::uint64_t>(kLeastForwarded))
      return false;
  }
  return true;
}

bool Relay::all_finished(std::uint64_t exchange) noexcept {
  for (std::size_t local = 0; local < seen_finished_.size(); ++local) {
    if (seen_finished_[local] >= exchange) continue;
    seen_finished_[local] = parts_.board->line(local).finished.load(std::memory_order_acquire);
    if (seen_finished_[local] < exchange) return false;
  }
  return true;
}

int Relay::awaited(std::uint64_t exchange) const noexcept {
  for (std::size_t local = 0; local < seen_finished_.size(); ++local)
    if (seen_finished_[local] < exchange) return parts_.nodes.ranks(node_)[local];
  return -1;
}

Status Relay::progress(const Context& context, RelayClient& client, bool& happened) noexcept {
  Status status = take_network(client, happened);
  if (!desk_ || !status.ok()) return status;
  status = desk_->progress(
      context, [this](int rank) -> Channel& { return network_channel(rank); },
      [&client](std::uint64_t exchange, std::int64_t bytes) { client.helped(exchange, bytes); }, happened);
  return status.ok() ? take_node(client, happened) : status;
}

/// Looks at the network's channels if there may be something in them.
Status Relay::take_network(RelayClient& client, bool& happened) noexcept {
  const std::uint64_t arrivals = parts_.network->arrivals();
  if (arrivals == seen_arrivals_ && arrivals != transport::kUncounted && !network_waits_) return {};
  seen_arrivals_ = arrivals;
  network_waits_ = false;
  Status status = greet(happened);
  for (std::size_t i = 0; i < sources_.size() && status.ok(); ++i)
    status = take_network(*sources_[i], client, happened);
  network_waits_ |= !status.ok();
  return status;
}

/// Looks at the node's channels if there may be something in them.
Status Relay::take_node(RelayClient& client, bool& happened) noexcept {
  const std::uint64_t bell = parts_.board->line(self_).bell.load(std::memory_order_acquire);
  if (bell == bell_ && !more_) return {};
  bell_ = bell;
  more_ = false;
  try {
    for (std::size_t local = 0; local < node_channels_.size(); ++local) {
      if (local == self_) continue;
      if (Status status = take_node(local, client, happened); !status.ok()) return status;
    }
    return {};
  } catch (const Error& error) {
    return error.status();
  } catch (const std::exception& error) {
    return {Code::no_memory, error.what()};
  }
}

/// Makes channels to ranks that have announced packets.
Status Relay::greet(bool& happened) {
  try {
    for (int rank = parts_.network->stranger(); rank >= 0; rank = parts_.network->stranger()) {
      source(rank);
      happened = true;
    }
    return {};
  } catch (const Error& error) {
    return error.status();
  } catch (const std::exception& error) {
    return {Code::no_memory, error.what()};
  }
}

Status Relay::take_network(Source& from, RelayClient& client, bool& happened) noexcept {
  while (const transport::AnnouncementView* const view = from.channel->announcement()) {
    const transport::Announcement& header = view->header;
    if (header.inline_bytes == 0) {
      from.channel->expect(header.send_bytes);
    } else {
      bool whole = false;
      Status status =
          hand_out(from.announced, from.rank, {view->payload, header.inline_bytes}, client, happened, whole);
      if (!status.ok()) return status;
      if (!whole) {
        network_waits_ = true;
        break;  // what has come as chunks may be of an earlier exchange
      }
    }
    from.channel->pop_announcement();
    happened = true;
  }
  while (const ChunkView* const chunk = from.channel->chunk()) {
    bool whole = false;
    Status status = hand_out(from.arrived, from.rank, {chunk->payload, chunk->header.payload_bytes}, client,
                             happened, whole);
    network_waits_ |= !whole;
    if (!status.ok() || !whole) return status;
    from.channel->pop_chunk();
    happened = true;
  }
  return {};
}

}  // namespace mpix::engine
