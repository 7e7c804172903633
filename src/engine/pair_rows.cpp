// SPDX-License-Identifier: BSD-3-Clause
// How rows move that go to several places of the peer: alone, once the peer has kept these (kept_places.hpp);
// and what is kept of the packets before.
#include "base/text.hpp"
#include "engine/kept_entries.hpp"
#include "engine/pair.hpp"

namespace mpix::engine {

using transport::Chunk;
using transport::ChunkView;
using transport::Payload;

/// The peer knows where they go.
Status PairExchange::push_rows(Run& run, std::span<std::byte> room) noexcept {
  const plan::NodeSend& send = repeats_->send;
  const RowsExtent extent =
      fit_rows(send, repeats_cursor_.range, repeats_cursor_.within, static_cast<std::int64_t>(room.size()));
  const auto size = static_cast<std::size_t>(extent.bytes);
  kernels::Cursor from{repeats_cursor_.range, repeats_cursor_.within};
  run.context->kernels->gather(
      run.send_base, send.blocks(), from, room.data(), size,
      channel().past_caches() ? kernels::Stores::streaming : kernels::Stores::cached);
  advance(send, repeats_cursor_, extent.bytes);
  const Chunk chunk{run.exchange, sent_, extent.delivered, Payload::rows, static_cast<std::uint32_t>(size)};
  sent_ += extent.delivered;
  run.traffic.ring += extent.delivered;
  run.traffic.rows += extent.delivered;
  ++run.traffic.chunks;
  return channel().chunk_commit(room.data(), chunk);
}

/// Notes where the rows of a packet have gone, to keep that.
void PairExchange::record(const PacketView& packet) noexcept {
  if (keeping_ == nullptr || !keeping_->records || !receiving_) return;
  Keeping& keeping = *keeping_;
  if (packet.header.list == 0 || packet.header.list > transport::kMostKept) return;
  try {
    if (keeping.recorded == nullptr) keeping.recorded = std::make_unique<KeptPlaces>(packet.header.list);
    add_places(*keeping.recorded, keeping.rows, packet.entries_of(packet.dests[0]), *pair_->recv, places_);
    keeping.rows += packet.header.bytes;
  } catch (const std::exception&) {  // the peer sends lists again
    keeping_.reset();
  }
}

/// Of a message that has come as a whole.
void PairExchange::keep_recorded(const Run& run) noexcept {
  if (keeping_ == nullptr || keeping_->recorded == nullptr) return;
  if (keeping_->recorded->delivered() != recv_total()) return;
  try {
    keeping_->recorded->finish();
    (*run.kept)[index_].replace(std::move(keeping_->recorded));
  } catch (const std::exception&) {  // likewise
    keeping_.reset();
  }
}

bool PairExchange::pull_rows(Run& run, const ChunkView& view) noexcept {
  std::int64_t written = 0;
  if (keeping_ != nullptr && keeping_->kept != nullptr) {
    Keeping& keeping = *keeping_;
    const StoreTimer timer(run.storing, received_);
    const KeptPlaces::Rows rows{view.payload, keeping.rows, view.header.payload_bytes};
    const KeptPlaces::Target target{*run.context->kernels, run.recv_base, run.storing.stores};
    written = keeping.kept->scatter(target, rows, keeping.cursor);
    received_ += written;
    keeping.rows = rows.end();
    if (const auto kept = run.kept->find(index_); kept->second.places == keeping.kept) kept->second.use();
  }
  if (written == view.header.bytes) {
    finish_chunk();
  } else {
    run.fail({Code::internal, text("rank ", peer(), " sent rows whose places are not known")});
    abandon(run);
  }
  return true;
}

}  // namespace mpix::engine
