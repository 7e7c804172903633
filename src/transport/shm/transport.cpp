// SPDX-License-Identifier: BSD-3-Clause
#include "transport/shm/transport.hpp"

#include <algorithm>
#include <new>

#include "base/log.hpp"
#include "base/text.hpp"

namespace mpix::transport::shm {
namespace {

/// Bytes of the transfer that tells whether cross-memory attach is worth using.
constexpr std::size_t kAttachTrial = 256 << 10;

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
                           memory::Regions& regions, Choice attach)
    : inbox_(std::move(inbox)),
      cards_(std::move(cards)),
      self_(self),
      staging_(staging.view()),
      mappings_(std::move(mappings)),
      regions_(&regions),
      attach_(attach) {}

Channel& ShmTransport::connect(int peer) {
  const auto known = channels_.find(peer);
  if (known != channels_.end()) return *known->second;
  const auto card = std::find_if(cards_.begin(), cards_.end(), [&](const Card& c) { return c.rank == peer; });
  if (card == cards_.end()) throw Error(Code::internal, text("rank ", peer, " is not on this node"));
  auto channel = make_channel(static_cast<std::size_t>(card - cards_.begin()));
  return *channels_.emplace(peer, std::move(channel)).first->second;
}

std::unique_ptr<ShmChannel> ShmTransport::make_channel(std::size_t local_rank) {
  const Card& card = cards_[local_rank];
  ChannelParts parts;
  parts.peer = card.rank;
  parts.pid = card.pid;
  parts.abilities = kCanMap;
  parts.inbox = inbox_.mailbox(local_rank);
  parts.outbox_mapping = std::make_shared<const Mapping>(memory::map_remote(card.mailboxes));
  parts.outbox = mailbox_at(parts.outbox_mapping->data(), self_);
  parts.own_staging = staging_;
  parts.peer_staging_mapping = mappings_->get(card.staging.segment);
  parts.peer_staging_region =
      regions_->add({parts.peer_staging_mapping->data(), parts.peer_staging_mapping->bytes()});
  parts.peer_staging = memory::StagingView(parts.peer_staging_mapping->data(), card.staging.slots,
                                           static_cast<std::size_t>(card.staging.slot_bytes));
  if (use_attach(card, *parts.peer_staging_mapping)) parts.abilities |= kCanAttach;
  return std::make_unique<ShmChannel>(std::move(parts));
}

bool ShmTransport::use_attach(const Card& card, const Mapping& peer_staging) {
  if (attach_ == Choice::off || !memory::attach_works(card.pid, card.attach)) return false;
  if (attach_ == Choice::on) return true;
  if (!attach_wins_) {
    const std::size_t bytes = std::min(kAttachTrial, peer_staging.bytes());
    const auto scratch = std::make_unique_for_overwrite<std::byte[]>(2 * bytes);
    attach_wins_ =
        memory::attach_wins(card.pid, card.staging_address, peer_staging.data(), scratch.get(), bytes);
    log::info("cross-memory attach works and is ", *attach_wins_ ? "" : "not ", "used for long blocks");
  }
  return *attach_wins_;
}

void ShmTransport::probe(const Card& card) {
  memory::map_remote(card.mailboxes);
  memory::map_remote(card.staging.segment);
}

}  // namespace mpix::transport::shm
