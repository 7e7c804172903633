// SPDX-License-Identifier: BSD-3-Clause
/// Who may send how many chunks to this rank, so that what arrives fits the configured staging memory
/// whatever the number of peers and the size of their messages, and does not queue up in the network.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "transport/transport.hpp"
#include "transport/ucx/pacer.hpp"

namespace mpix::transport::ucx {

class UcxChannel;

/// One channel's account.
struct Demand {
  UcxChannel* owner = nullptr;
  std::int64_t remaining = 0;  ///< bytes expected that have not arrived
  std::uint64_t granted = 0;   ///< chunks that the peer may have sent in all
  std::uint64_t arrived = 0;
  std::uint64_t popped = 0;
  std::uint64_t told = 0;         ///< of `granted`, what the peer has been told, or will be at once
  std::uint64_t piece = 0;        ///< the peer's chunks get no longer
  std::uint64_t chunk_bytes = 0;  ///< nor now than that
  std::uint64_t longest = 0;      ///< but as long as this where it was longer, of those that are coming
  std::size_t cost = 0;           ///< cells of one, but for short ones
  std::uint64_t standing = 0;     ///< chunks, the last of those granted, that are short and always granted
  bool asked = false;             ///< what is not told yet is more than the standing grant
  bool listed = false;            ///< in the budget's list

  std::uint64_t coming() const noexcept { return granted - arrived; }
  /// Of these, what is not the standing grant.
  std::uint64_t long_coming() const noexcept { return coming() > standing ? coming() - standing : 0; }
  /// Granted and not popped.
  std::uint64_t held() const noexcept { return granted - popped; }
  /// Of these, what takes up cells.
  std::uint64_t long_ones() const noexcept { return held() > standing ? held() - standing : 0; }
};

/// Grants are made for bytes that the peer has announced, so they are used by peers that are sending, and for
/// no more chunks than those bytes fill. Beyond these, the first channels that receive anything keep a
/// standing grant of a few short chunks, with which a peer begins a message without asking. Channels take
/// turns. Where all memory is held for some time by chunks that nobody takes (those of an exchange that their
/// receivers have not started, say, because they wait for another peer in an earlier one), each other channel
/// gets a short chunk beyond it. A channel's chunks get longer only while no more than its standing grant is
/// on its way, and when they have got shorter, those on their way
/// count as long as they were, so that nothing else is left over.
///
/// Telling a peer what it is granted costs a message, unless another one goes to it anyway. So it is told at
/// once what it waits for, but that its standing grant is whole again only when it has nothing left of it.
class ReceiveBudget {
 public:
  /// Chunks of one channel's standing grant. Of the memory, one part in kStandingShare is for them.
  static constexpr std::uint64_t kStanding = 2;
  static constexpr std::size_t kStandingShare = 4;
  /// Memory is counted in cells of this size, or of the longest chunk if that is shorter. A short chunk takes
  /// one of them, others a power of two.
  static constexpr std::size_t kCellBytes = std::size_t{64} << 10;

  /// `bytes` of memory for all chunks, of at most `chunk_bytes` each; one channel gets at most `window` of
  /// them beyond its standing grant.
  ReceiveBudget(std::size_t bytes, std::size_t chunk_bytes, std::size_t window) noexcept
      : cell_bytes_(std::min(chunk_bytes, kCellBytes)),
        window_(window),
        may_stand_(bytes / cell_bytes_ / kStandingShare / kStanding * kStanding),
        free_(bytes / cell_bytes_ - may_stand_),
        pacer_(static_cast<std::int64_t>(chunk_bytes)) {}

  /// Makes room for `demands` channels in all, so that nothing later allocates.
  void reserve(std::size_t demands) { waiting_.reserve(demands); }

  /// `bytes` more will come; less than 0: fewer than was said before.
  void expect(Demand& demand, std::int64_t bytes) noexcept;
  void arrived(Demand& demand, std::int64_t bytes) noexcept;
  void popped(Demand& demand) noexcept;
  /// Ends an account; chunks that still come are the peer's mistake.
  void withdraw(Demand& demand) noexcept;

  /// Gives out what is free; calls `granted(demand)` for each account that got something.
  template <typename Granted>
  void grant(Granted granted, Pacer::Clock::time_point (*now)() = Pacer::Clock::now) noexcept {
    if (!changed_ && !starving_) return;
    const Pacer::Clock::time_point time = now();
    if (std::exchange(changed_, false)) {
      if (under_way())
        pacer_.look(time);
      else
        pacer_.idle();
      while (grant_round()) {
      }
    }
    rescue(time);
    for (Demand* demand : waiting_)
      if (is_to_be_told(*demand)) {
        told(*demand);
        granted(*demand);
      }
    drop_satisfied();
  }

  /// The peer is told, by this or any other message.
  static void told(Demand& demand) noexcept {
    demand.told = demand.granted;
    demand.asked = false;
  }

  /// Cells for what is beyond standing grants.
  std::size_t free() const noexcept { return free_; }
  /// Longest chunk that is part of a standing grant.
  std::size_t short_bytes() const noexcept { return cell_bytes_; }
  /// Cells of a chunk.
  std::size_t cells(std::size_t bytes) const noexcept {
    return std::bit_ceil((bytes + cell_bytes_ - 1) / cell_bytes_);
  }

 private:
  static bool is_to_be_told(const Demand& demand) noexcept {
    return demand.granted != demand.told && (demand.asked || demand.told <= demand.arrived);
  }
  void list(Demand& demand) noexcept;
  void give_back(std::size_t cells) noexcept;
  bool under_way() const noexcept;
  std::uint64_t next_chunk_bytes(const Demand& demand) const noexcept;
  std::uint64_t wanted(const Demand& demand) const noexcept;
  std::uint64_t share_of_window(std::uint64_t chunk) const noexcept;
  bool grant_one(Demand& demand) noexcept;
  bool grant_round() noexcept;
  void rescue(Pacer::Clock::time_point now) noexcept;
  void drop_satisfied() noexcept;

  std::size_t cell_bytes_, window_;
  std::size_t may_stand_;  ///< chunks of standing grants that may still be made
  std::size_t free_;       ///< cells
  Pacer pacer_;
  std::size_t overdrawn_ = 0;  ///< cells granted by rescue(), until as many have been given back
  bool starving_ = false;      ///< nothing is free, and somebody has nothing, since starving_since_
  Pacer::Clock::time_point starving_since_;
  bool changed_ = false;
  std::size_t next_ = 0;
  std::vector<Demand*> waiting_;
};

}  // namespace mpix::transport::ucx
