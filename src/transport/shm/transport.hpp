// SPDX-License-Identifier: BSD-3-Clause
/// Shared memory between the ranks of one communicator on one node.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/config.hpp"
#include "memory/attach.hpp"
#include "memory/segment.hpp"
#include "memory/staging.hpp"
#include "transport/shm/channel.hpp"
#include "transport/transport.hpp"

namespace mpix::transport::shm {

/// What every rank of the node tells the others, once for each communicator. Trivially copyable.
struct Card {
  std::int32_t rank = 0;  ///< in the communicator
  std::int32_t pid = 0;
  memory::SegmentName mailboxes;
  memory::StagingName staging;
  memory::AttachProbe attach;
  std::uint64_t staging_address = 0;  ///< where the staging memory lies in the rank's own process
};

/// This rank's mailboxes, one for each rank of the node.
class Inbox {
 public:
  /// Throws Error (no_memory).
  explicit Inbox(std::size_t local_ranks);
  const memory::SegmentName& name() const noexcept { return segment_.name(); }
  Mailbox* mailbox(std::size_t local_rank) const noexcept;

 private:
  memory::Segment segment_;
};

class ShmTransport final : public Transport {
 public:
  /// `cards`: of all ranks of the node in one order on all of them; `self`: this rank's place there.
  ShmTransport(Inbox inbox, std::vector<Card> cards, std::size_t self, const memory::Staging& staging,
               std::shared_ptr<memory::MappingCache> mappings, memory::Regions& regions, Choice attach);

  const char* name() const noexcept override { return "shm"; }
  Channel& connect(int peer) override;
  Status progress(bool&) noexcept override { return {}; }  // channels move by themselves

  /// Whether `card`'s segments can be mapped here. Throws Error (peer) with the reason where not.
  static void probe(const Card& card);

 private:
  std::unique_ptr<ShmChannel> make_channel(std::size_t local_rank);
  bool use_attach(const Card& card, const Mapping& peer_staging);

  Inbox inbox_;
  std::vector<Card> cards_;
  std::size_t self_;
  memory::StagingView staging_;
  std::shared_ptr<memory::MappingCache> mappings_;
  memory::Regions* regions_;
  Choice attach_;
  std::optional<bool> attach_wins_;  // measured with the first peer, under attach=auto
  std::map<int, std::unique_ptr<ShmChannel>> channels_;
};

}  // namespace mpix::transport::shm
