// SPDX-License-Identifier: BSD-3-Clause
/// Who may send how many chunks to this rank, so that what arrives fits the configured staging memory
/// whatever the number of peers and the size of their messages, and does not queue up in the network.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

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
  std::uint64_t told = 0;         ///< of `granted`, what grant() has reported
  std::uint64_t chunk_bytes = 0;  ///< the peer's chunks are as long, but for those that end a message
  std::uint64_t standing = 0;     ///< chunks that stay granted when nothing more is expected
  bool listed = false;            ///< in the budget's list

  std::uint64_t coming() const noexcept { return granted - arrived; }
};

/// Grants are made for bytes that the peer has announced, so they are used by peers that are sending, and for
/// no more chunks than those bytes fill. Beyond these, the first few channels that receive anything keep a
/// standing grant, with which a peer begins its next message without waiting for an answer. Channels take
/// turns. Where all memory is held for some time by chunks that nobody takes (those of an exchange that their
/// receivers have not started, say, because they wait for another peer in an earlier one), each other channel
/// gets a short chunk beyond it. A channel's chunks get longer only while no more than its standing grant is
/// on its way, so that nothing else is left over.
class ReceiveBudget {
 public:
  /// Chunks of one channel's standing grant; of all chunks, one in kStandingShare may be granted so.
  static constexpr std::uint64_t kStanding = 2;
  static constexpr std::size_t kStandingShare = 4;

  /// `slots` chunks of `slot_bytes` in all, of which one channel gets at most `window`, its standing grant
  /// aside.
  ReceiveBudget(std::size_t slots, std::size_t slot_bytes, std::size_t window) noexcept
      : slot_bytes_(slot_bytes),
        window_(window),
        free_(slots),
        may_stand_(slots / kStandingShare),
        pacer_(static_cast<std::int64_t>(slot_bytes)) {}

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
      if (demand->granted != demand->told) {
        demand->told = demand->granted;
        granted(*demand);
      }
    drop_satisfied();
  }

  std::size_t free() const noexcept { return free_; }
  /// Longest chunk of a peer that has been granted none yet.
  std::size_t slot_bytes() const noexcept { return slot_bytes_; }

 private:
  void give_back(std::size_t chunks) noexcept;
  bool under_way() const noexcept;
  std::uint64_t next_chunk_bytes(const Demand& demand) const noexcept;
  std::uint64_t wanted(const Demand& demand) const noexcept;
  std::uint64_t share_of_window(std::uint64_t chunk) const noexcept;
  void grant_one(Demand& demand) noexcept;
  bool grant_round() noexcept;
  void rescue(Pacer::Clock::time_point now) noexcept;
  void drop_satisfied() noexcept;

  std::size_t slot_bytes_, window_, free_;
  std::size_t may_stand_;  ///< chunks of standing grants that may still be made
  Pacer pacer_;
  std::size_t overdrawn_ = 0;  ///< chunks granted by rescue(), until as many have been popped
  bool starving_ = false;      ///< nothing is free, and somebody has nothing, since starving_since_
  Pacer::Clock::time_point starving_since_;
  bool changed_ = false;
  std::size_t next_ = 0;
  std::vector<Demand*> waiting_;
};

}  // namespace mpix::transport::ucx
