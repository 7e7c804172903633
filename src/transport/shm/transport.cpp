// SPDX-License-Identifier: BSD-3-Clause
#include "transport/shm/transport.hpp"

#include <algorithm>
#include <new>

#include "base/text.hpp"

namespace mpix::transport::shm {
namespace {

Mailbox* mailbox_at(std::byte* base, std::size_t local_rank) noexcept {
  return std::launder(reinterpret_cast<Mailbox*>(base + local_rank * sizeof(Mailbox)));
}

}  // namespace

Inbox::Inbox(std::size_t local_ranks) : segment_(memory::Segment::create(local_ranks * sizeof(Mailbox))) {}

Mailbox* Inbox::mailbox(std::size_t local_rank) const noexcept {
  return mailbox_at(segment_.data(), local_rank);
}

ShmTransport::ShmTransport(Inbox inbox, std::vector<Card> cards, std::size_t self,
                           const memory::Staging& staging, std::shared_ptr<memory::MappingCache> mappings,
                           bool attach)
    : inbox_(std::move(inbox)),
      cards_(std::move(cards)),
      self_(self),
      staging_(staging.view()),
      mappings_(std::move(mappings)),
      attach_(attach) {}

Channel& ShmTransport::connect(int peer) {
  const auto known = channels_.find(peer);
  if (known != channels_.end()) return *known->second;
  const auto card = std::find_if(cards_.begin(), cards_.end(), [&](const Card& c) { return c.rank == peer; });
  if (card == cards_.end()) throw Error(Code::internal, text("rank ", peer, " is not on this node"));
  auto channel = make_channel(static_cast<std::size_t>(card - cards_.begin()));
  return *channels_.emplace(peer, std::move(channel)).first->second;
}

std::unique_ptr<ShmChannel> ShmTransport::make_channel(std::size_t local_rank) const {
  const Card& card = cards_[local_rank];
  ChannelParts parts;
  parts.peer = card.rank;
  parts.pid = card.pid;
  parts.abilities = kCanMap;
  if (attach_ && memory::attach_works(card.pid, card.attach)) parts.abilities |= kCanAttach;
  parts.inbox = inbox_.mailbox(local_rank);
  parts.outbox_mapping = std::make_shared<const Mapping>(memory::map_remote(card.mailboxes));
  parts.outbox = mailbox_at(parts.outbox_mapping->data(), self_);
  parts.own_staging = staging_;
  parts.peer_staging_mapping = mappings_->get(card.staging.segment);
  parts.peer_staging = memory::StagingView(parts.peer_staging_mapping->data(), card.staging.slots,
                                           static_cast<std::size_t>(card.staging.slot_bytes));
  return std::make_unique<ShmChannel>(std::move(parts));
}

void ShmTransport::probe(const Card& card) {
  memory::map_remote(card.mailboxes);
  memory::map_remote(card.staging.segment);
}

}  // namespace mpix::transport::shm
