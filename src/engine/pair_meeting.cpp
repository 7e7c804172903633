// SPDX-License-Identifier: BSD-3-Clause
// How the two ranks of a pair find each other: announcements, or packets in their place, sizes that must
// agree, and the way that the bytes will go.
#include <algorithm>
#include <new>
#include <utility>

#include "base/text.hpp"
#include "engine/node_sender.hpp"
#include "engine/pair.hpp"

namespace mpix::engine {
namespace {

using transport::Announcement;
using transport::AnnouncementView;

/// Inside a node a message is cut into at least this many chunks, so that both ends work at once, unless they
/// get too short.
constexpr std::int64_t kPipelineDepth = 8;
constexpr std::int64_t kShortestChunk = 16 << 10;

std::int64_t mean_run(const kernels::Blocks& blocks) noexcept {
  return blocks.bytes / blocks.nruns;
}

}  // namespace

std::uint32_t abilities_for(const transport::Channel& channel, const plan::Pair& pair,
                            const Config& config) noexcept {
  std::uint32_t abilities = channel.abilities();
  if (pair.recv != nullptr && mean_run(*pair.recv) < config.attach_block)
    abilities &= ~static_cast<std::uint32_t>(transport::kCanAttach);
  return abilities;
}

void PairExchange::resume(Run& run, bool met) noexcept {
  announced_ = true;
  link_->announcing.leave(run.exchange);
  sent_ = send_total();
  link_->sending.leave(run.exchange);
  run.traffic.inlined += sent_;
  if (!met) return;
  met_ = true;
  link_->meeting.leave(run.exchange);
  received_ = recv_total();
  update_done(run);
}

void PairExchange::enter(const Run& run) {
  link_->announcing.join(run.exchange);
  link_->meeting.join(run.exchange);
  if (!sent()) link_->sending.join(run.exchange);
  link_->living.join(run.exchange);
  if (!run.send_gpu) return;
  repeats_ = nullptr;  // rows that a GPU reads twice cost it little
  leave_note(run);
}

bool PairExchange::announce(Run& run) noexcept {
  if (!run.open) return false;
  if (announced_ && link_->announced > run.exchange) {  // too late to object
    objects_ = false;
    return true;
  }
  if (!announced_ && !link_->announcing.is_next(run.exchange)) return false;
  if (announced_by_packets()) {
    if (!sender_->gave_up()) return leave_to_sender(run);
    abandon(run);  // the peer will not hear of this rank
    return true;
  }
  std::byte* const room = channel().announce_begin();
  if (room == nullptr) return false;
  Announcement announcement;
  announcement.exchange = run.exchange;
  announcement.send_bytes = send_total();
  announcement.recv_bytes = recv_total();
  announcement.abilities = abilities_for(channel(), *pair_, *run.config);
  if (run.recv_gpu) announcement.abilities = can_import(run) ? transport::kCanImport : 0u;
  if (sender_ != nullptr) {
    announcement.abilities |= transport::kForwards;
  } else if (send_total() > 0 && !run.send_gpu &&
             static_cast<std::size_t>(send_total()) <= channel().inline_limit()) {
    announcement.inline_bytes = static_cast<std::uint32_t>(send_total());
    run.context->kernels->gather(run.send_base, *pair_->send, send_cursor_, room, announcement.inline_bytes,
                                 kernels::Stores::cached);
    sent_ = send_total();
    (channel().same_node() ? run.traffic.inlined : run.traffic.net) += sent_;
  }
  announcement.abilities |= kept_abilities(run);
  const std::uint64_t introduced = announced_ ? introduced_before_ : link_->introduced;
  if (introduced > 0 && run.exchange - introduced <= transport::kLongestIntroduced)
    announcement.abilities |= static_cast<std::uint32_t>(run.exchange - introduced)
                              << transport::kIntroducedShift;
  if (const Status status = send_announcement(run, announcement); !status.ok()) {
    run.fail(status);
    abandon(run);
    return true;
  }
  if (!std::exchange(announced_, true)) link_->announcing.leave(run.exchange);
  link_->announced = run.exchange;
  objects_ = false;
  return true;
}

/// With the first chunk, where that may be sent.
Status PairExchange::send_announcement(Run& run, const Announcement& announcement) noexcept {
  if (begins_unasked(run)) choose_chunks();  // also for chunks that follow before the ranks have met
  if (begins_unasked(run) && sends_now(run)) {
    const auto left = static_cast<std::size_t>(send_total() - sent_);
    const std::span<std::byte> room = channel().chunk_begin(std::min(chunk_bytes_, left), {.unmet = true});
    if (!room.empty()) return push_data(run, room, &announcement);
  }
  if (!channel().same_node()) ++run.traffic.messages;
  return channel().announce_commit(announcement);
}

bool PairExchange::announced_by_packets() const noexcept {
  return sender_ != nullptr && !objects_;
}

/// Where packets introduce this rank to the peer.
bool PairExchange::leave_to_sender(const Run& run) noexcept {
  if (!sender_->introduced()) return false;
  introduced_before_ = std::exchange(link_->introduced, run.exchange);
  link_->announcing.leave(run.exchange);
  announced_ = true;
  return true;
}

bool PairExchange::meet(Run& run) noexcept {
  if (!link_->meeting.is_next(run.exchange)) return false;
  const AnnouncementView* view = channel().announcement();
  while (view != nullptr && view->header.exchange < run.exchange) {  // of an exchange that was given up here
    channel().pop_announcement();
    view = channel().announcement();
  }
  if (view == nullptr) return false;
  if (view->header.exchange > run.exchange) {
    const std::uint64_t ago =
        channel().same_node() ? 0 : view->header.abilities >> transport::kIntroducedShift;
    if (ago > 0 && view->header.exchange - ago >= run.exchange) return false;  // a packet is on its way
    run.fail({Code::mismatch, text("rank ", run.context->rank, " sends ", send_total(), " bytes to rank ",
                                   peer(), " and expects ", recv_total(), " bytes from it, but rank ", peer(),
                                   " sends 0 and expects 0 bytes in this exchange")});
    abandon(run);
    return true;
  }
  // Before its own announcement is out, with what it carries, a rank neither sends chunks nor lets the peer's
  // data overwrite what it sends in place.
  if (!announced_ && !announced_by_packets()) return false;
  accept(run, *view);
  channel().pop_announcement();
  link_->meeting.leave(run.exchange);
  met_ = true;
  return true;
}

void PairExchange::introduce(Run& run, std::int64_t send_bytes, std::int64_t recv_bytes) noexcept {
  if (met_ || done_ || (run.plan->in_place && !announced_)) return;
  transport::AnnouncementView view;
  view.header = {run.exchange, send_bytes, recv_bytes, 0, transport::kForwards};
  accept(run, view);
  link_->meeting.leave(run.exchange);
  met_ = true;
}

void PairExchange::accept(Run& run, const AnnouncementView& view) noexcept {
  const Announcement& theirs = view.header;
  const bool by_packets = (theirs.abilities & transport::kForwards) != 0;
  const bool agreed = compare_sizes(run, theirs);
  // Those who were to hand on a packet that introduces this rank may expect none, and have left.
  objects_ = sender_ != nullptr && !(sending_ && receiving_);
  // Packets are on their way whether they are wanted or not, and take up room until they are taken.
  if (!receiving_ && by_packets) unwanted_ = theirs.send_bytes - received_ - stray_;
  if (!agreed) return;
  if (refuses_strays(run)) return;
  if (receiving_ && theirs.inline_bytes > 0 && run.recv_gpu) {
    accept_inlined_gpu(run, view);
  } else if (receiving_ && theirs.inline_bytes > 0) {
    run.context->kernels->scatter(run.recv_base, *pair_->recv, recv_cursor_, view.payload,
                                  theirs.inline_bytes, kernels::Stores::cached);
    received_ = theirs.inline_bytes;
  } else if (receiving_ && recv_total() > 0 && !by_packets) {
    channel().expect(recv_total(), run.recv_gpu.alone());
    expected_ = recv_total();
  }
  if (sending_ && sent_ < send_total() && sender_ == nullptr) choose_reach(run, theirs.abilities);
}

/// Gives up if bytes came for which an agreed message has no place.
bool PairExchange::refuses_strays(Run& run) noexcept {
  if (!receiving_ || stray_ == 0) return false;
  run.fail({Code::internal, text("rank ", peer(), " sent bytes beyond the end of its message")});
  abandon(run);
  return true;
}

/// Refuses the directions on which the two ranks disagree; both find the same from the two announcements.
bool PairExchange::compare_sizes(Run& run, const Announcement& theirs) noexcept {
  const int me = run.context->rank;
  if (theirs.send_bytes != recv_total()) {
    receiving_ = false;
    run.fail({Code::mismatch, text("rank ", peer(), " sends ", theirs.send_bytes, " bytes to rank ", me,
                                   ", which expects ", recv_total(), " bytes from it")});
  }
  if (theirs.recv_bytes != send_total()) {
    sending_ = false;
    run.fail({Code::mismatch, text("rank ", me, " sends ", send_total(), " bytes to rank ", peer(),
                                   ", which expects ", theirs.recv_bytes, " bytes from it")});
  }
  return sending_ || receiving_;
}

/// What the announcement says of places that are kept, and notes that it has said so.
std::uint32_t PairExchange::kept_abilities(const Run& run) noexcept {
  if (run.kept == nullptr || recv_total() < kLeastRepeats || !channel().same_node()) return 0;
  keeping_.reset(new (std::nothrow) Keeping);
  if (keeping_ == nullptr) return 0;  // lists come again
  const auto known = run.kept->find(index_);
  if (known != run.kept->end()) keeping_->kept = known->second.places;
  keeping_->records =
      (known == run.kept->end() || known->second.keeps()) && mean_run(*pair_->recv) >= kShortestKept;
  return (keeping_->records ? std::uint32_t{transport::kKeeps} : 0u) |
         (keeping_->kept != nullptr ? keeping_->kept->number() << transport::kKeptShift : 0u);
}

/// Whether equal bytes are sent once, and with what.
void PairExchange::choose_repeats(const Run& run, std::uint32_t abilities) noexcept {
  if (repeats_ == nullptr) return;
  const bool keeps = run.reused && (abilities & transport::kKeeps) != 0;
  if (keeps && repeats_->number == 0 && *run.numbers < transport::kMostKept)
    repeats_->number = ++*run.numbers;
  rows_only_ = repeats_->number != 0 && abilities >> transport::kKeptShift == repeats_->number;
  const bool to_be_kept = keeps && repeats_->number != 0;
  if (!rows_only_ && !repeats_->lists_pay && !to_be_kept) repeats_ = nullptr;
}

void PairExchange::choose_chunks() noexcept {
  const auto limit = static_cast<std::int64_t>(channel().chunk_limit());
  const std::int64_t total = repeats_ != nullptr ? repeats_->send.unique_bytes : send_total();
  const std::int64_t piece =
      channel().same_node() ? std::max(total / kPipelineDepth, kShortestChunk) : transport::net_piece(total);
  chunk_bytes_ = static_cast<std::size_t>(std::min(piece, limit));
}

void PairExchange::choose_reach(Run& run, std::uint32_t abilities) noexcept {
  choose_repeats(run, abilities);
  choose_chunks();
  if (run.plan->in_place) return;  // the peer would read what this rank overwrites
  if (run.send_gpu) {
    if ((abilities & transport::kCanImport) != 0 && run.config->cuda_ipc) choose_export(run);
    return;
  }
  if ((abilities & transport::kCanMap) != 0) place_ = run.mapped_place();
  if (place_) return;
  if (repeats_ != nullptr) return;  // each is read once, and not by the peer again and again
  const bool wanted =
      run.config->attach == Choice::on ||
      (run.config->attach == Choice::automatic && mean_run(*pair_->send) >= run.config->attach_block);
  if ((abilities & transport::kCanAttach) != 0 && wanted) place_ = run.attached_place();
}

}  // namespace mpix::engine
