// SPDX-License-Identifier: BSD-3-Clause
/// The traffic of one exchange with one other rank, both ways.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "engine/context.hpp"
#include "engine/descriptor.hpp"
#include "engine/gpu_pair.hpp"
#include "engine/gpu_side.hpp"
#include "engine/kept_places.hpp"
#include "engine/packet.hpp"
#include "engine/receive_places.hpp"
#include "engine/store_choices.hpp"
#include "plan/plan.hpp"

namespace mpix::engine {

class NodeSender;

/// What all pairs of one exchange share.
struct Run {
  const Context* context = nullptr;
  const plan::Plan* plan = nullptr;
  const Config* config = nullptr;
  std::uint64_t exchange = 0;
  const std::byte* send_base = nullptr;
  std::byte* recv_base = nullptr;
  GpuSide send_gpu, recv_gpu;  ///< where the buffers are a GPU's
  bool reused = false;         ///< see BoundPlan
  bool open = true;            ///< false until a stream has come to the exchange: nothing may begin
  Storing storing;             ///< of what is received
  std::unordered_map<std::size_t, KeptOfPeer>* kept = nullptr;  ///< see BoundPlan; null: nothing is kept
  std::uint32_t* numbers = nullptr;                             ///< likewise
  std::unique_ptr<PacketWriter> writer;  ///< of packets for one rank; made when it is needed
  PacketView packet;                     ///< from a rank of the node, read last; kept for its memory
  /// Where the send buffer lies for peers that can map it; looked up once, if a long message is sent.
  std::optional<std::optional<memory::SharedPlace>> shared_place;
  Traffic traffic;
  Status error;  ///< the first that occurred

  void fail(Status status) noexcept {
    if (error.ok()) error = std::move(status);
  }
  /// The send buffer for other ranks of the node: mapped; empty where it cannot be, or is not to be.
  std::optional<BufferPlace> mapped_place();
  /// The same for cross-memory attach.
  BufferPlace attached_place() const noexcept;
};

/// How a rank that receives on the host can read the memory of the pair's peer, as its announcement says.
std::uint32_t abilities_for(const transport::Channel& channel, const plan::Pair& pair,
                            const Config& config) noexcept;

class PairExchange {
 public:
  /// `index`: of the pair in the plan; `sender`: sends this rank's bytes to the peer, which then does not do
  /// so itself; `repeats`: what is sent, equal bytes once. Null for none.
  PairExchange(const plan::Pair& pair, std::size_t index, Link& link, NodeSender* sender = nullptr,
               const Repeats* repeats = nullptr) noexcept
      : pair_(&pair), index_(index), link_(&link), sender_(sender), repeats_(repeats) {}

  /// Joins the link's queues; in the order of the exchanges' numbers.
  void enter(const Run& run);
  /// After enter(): this rank has announced itself and sent what it had to send, and if the ranks have `met`,
  /// received everything too.
  void resume(Run& run, bool met) noexcept;
  /// Sends the announcement, with the payload if it is short, if it is this exchange's turn.
  bool announce(Run& run) noexcept;
  /// Does what can be done now; returns whether that was anything.
  bool step(Run& run) noexcept;
  bool done() const noexcept { return done_; }
  /// Nothing is left for this pair to send.
  bool sent() const noexcept {
    return sender_ != nullptr || !sending_ ||
           (sent_ == send_total() && (gpu_ == nullptr || gpu_->filling.size() == 0));
  }
  /// Gives up what is not done yet and leaves the link to later exchanges.
  void abandon(const Run& run) noexcept;

  /// A packet says what the peer's announcement would; nothing happens if it is too early for that.
  void introduce(Run& run, std::int64_t send_bytes, std::int64_t recv_bytes) noexcept;
  /// Takes part of a packet that the peer has sent, which may come before the two ranks have met; false if it
  /// is to be offered again.
  bool take(Run& run, const PacketPart& part) noexcept;

  int peer() const noexcept { return pair_->peer; }
  std::size_t index() const noexcept { return index_; }
  /// Whether packets do what this rank's announcement to the peer would.
  bool announced_by_packets() const noexcept;
  transport::Channel& channel() const noexcept { return *link_->channel; }
  /// What is still awaited, for messages.
  std::string awaited() const;

 private:
  /// An incoming descriptor that is being worked on.
  struct Reading {
    DescriptorHeader header;
    kernels::Cursor cursor;
    std::shared_ptr<const Mapping> mapping;
    std::byte* base = nullptr;  // attached: an address in the sender's process
  };

  /// Places of what the peer sends that are kept, or will be.
  struct Keeping {
    std::shared_ptr<const KeptPlaces> kept;  ///< as this rank has told the peer
    KeptPlaces::Cursor cursor;
    std::int64_t rows = 0;  ///< unique bytes that have come
    bool records = false;   ///< what packets say is kept
    std::unique_ptr<KeptPlaces> recorded;
  };

  std::int64_t send_total() const noexcept { return pair_->send ? pair_->send->bytes : 0; }
  std::int64_t saved() const noexcept {
    return gpu_ != nullptr ? gpu_->saved_bytes : static_cast<std::int64_t>(saved_.size() - saved_sent_);
  }
  std::int64_t recv_total() const noexcept { return pair_->recv ? pair_->recv->bytes : 0; }

  bool leave_to_sender(const Run& run) noexcept;
  bool meet(Run& run) noexcept;
  void accept(Run& run, const transport::AnnouncementView& view) noexcept;
  bool refuses_strays(Run& run) noexcept;
  bool compare_sizes(Run& run, const transport::Announcement& theirs) noexcept;
  std::uint32_t kept_abilities(const Run& run) noexcept;
  void choose_repeats(const Run& run, std::uint32_t abilities) noexcept;
  void choose_chunks() noexcept;
  Status send_announcement(Run& run, const transport::Announcement& announcement) noexcept;
  void choose_reach(Run& run, std::uint32_t abilities) noexcept;
  bool exports() const noexcept { return gpu_ != nullptr && gpu_->exports.has_value(); }
  bool sends_now(const Run& run) const noexcept;
  bool begins_unasked(const Run& run) const noexcept;
  bool leads_in_place(const Run& run) const noexcept;
  bool push(Run& run) noexcept;
  Status push_data(Run& run, std::span<std::byte> room,
                   const transport::Announcement* with = nullptr) noexcept;
  Status push_packet(Run& run, std::span<std::byte> room) noexcept;
  Status push_rows(Run& run, std::span<std::byte> room) noexcept;
  Status push_descriptor(Run& run, std::span<std::byte> room) noexcept;
  Status push_import(Run& run, std::span<std::byte> room) noexcept;
  bool pull(Run& run) noexcept;
  bool save_ahead(Run& run, std::int64_t bytes) noexcept;
  bool expects(const PacketEntry& entry) const;
  const KeptPlaces* kept_places(const Run& run, const PacketPart& part);
  bool pull_packet(Run& run, const transport::ChunkView& view) noexcept;
  void record(const PacketView& packet) noexcept;
  void keep_recorded(const Run& run) noexcept;
  bool pull_rows(Run& run, const transport::ChunkView& view) noexcept;
  bool pull_data(Run& run, const transport::ChunkView& view) noexcept;
  bool pull_descriptor(Run& run, const transport::ChunkView& view) noexcept;
  Status open_reading(Run& run, const transport::ChunkView& view) noexcept;
  bool drop_stale(const Run& run, const transport::ChunkView& view) noexcept;
  void give_up(Run& run) noexcept;
  void finish_chunk() noexcept;
  void update_done(const Run& run) noexcept;
  bool forwarders_may_be_gone(const Run& run) const noexcept;

  // Where a side is a GPU's: gpu_pair.cpp.
  GpuPair* gpu(Run& run) noexcept;
  void choose_export(Run& run) noexcept;
  void leave_note(const Run& run) noexcept;
  bool can_import(const Run& run) noexcept;
  std::optional<ImportDescriptor> export_descriptor(const Run& run) const noexcept;
  bool settle_gpu(Run& run) noexcept;
  bool push_gpu(Run& run) noexcept;
  bool fill_room(Run& run, std::span<std::byte> room) noexcept;
  bool save_ahead_gpu(Run& run, std::int64_t bytes) noexcept;
  bool pull_data_gpu(Run& run, const transport::ChunkView& view) noexcept;
  bool pull_imported(Run& run, const transport::ChunkView& view) noexcept;
  bool refuse_import(Run& run, std::int64_t bytes, const char* why) noexcept;
  void accept_inlined_gpu(Run& run, const transport::AnnouncementView& view) noexcept;
  bool scatter_inlined(Run& run) noexcept;
  bool taken_by_gpu(Run& run, const std::byte* data) noexcept;
  bool take_gpu(Run& run, std::span<const PacketEntry> entries, const std::byte* data) noexcept;
  void abandon_gpu(const Run& run) noexcept;

  const plan::Pair* pair_;
  std::size_t index_;
  Link* link_;
  NodeSender* sender_;
  const Repeats* repeats_;
  bool announced_ = false, met_ = false, done_ = false;
  std::uint64_t introduced_before_ = 0;     // the last exchange before this one in which a packet did that
  bool objects_ = false;                    // the peer is to be told the sizes without a forwarder
  bool sending_ = true, receiving_ = true;  // false once complete or refused
  std::int64_t sent_ = 0, received_ = 0;
  std::int64_t expected_ = 0;  ///< in chunks, as the channel knows
  std::int64_t stray_ = 0;     ///< in packets that came before the ranks have met, beyond what is received
  std::int64_t unwanted_ = 0;  ///< bytes in packets still to come, of a message that is refused
  kernels::Cursor send_cursor_, recv_cursor_;
  std::size_t chunk_bytes_ = 0;
  std::optional<BufferPlace> place_;  // set where descriptors are sent
  std::uint64_t drain_target_ = 0;    // chunks that the peer must have read; 0: need not wait
  std::int64_t chunk_done_ = 0;       // of the chunk that is being read
  std::unique_ptr<Reading> reading_;
  std::vector<std::byte> saved_;  // in place: gathered before their turn to be sent
  std::size_t saved_sent_ = 0;    // of these
  ReceivePlaces places_;          // where packets come
  UniqueCursor repeats_cursor_;
  bool rows_only_ = false;  // the peer has kept the places of what repeats
  std::unique_ptr<Keeping> keeping_;
  std::unique_ptr<GpuPair> gpu_;  // where a GPU has a part in it
};

}  // namespace mpix::engine
