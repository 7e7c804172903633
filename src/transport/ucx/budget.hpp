// SPDX-License-Identifier: BSD-3-Clause
/// Who may send how many chunks to this rank, so that what arrives fits the configured staging memory
/// whatever the number of peers and the size of their messages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mpix::transport::ucx {

class UcxChannel;

/// One channel's account.
struct Demand {
  UcxChannel* owner = nullptr;
  std::int64_t remaining = 0;  ///< bytes expected that have not arrived
  std::uint64_t granted = 0;   ///< chunks that the peer may have sent in all
  std::uint64_t arrived = 0;
  std::uint64_t popped = 0;
  std::uint64_t told = 0;  ///< of `granted`, what grant() has reported
  bool listed = false;     ///< in the budget's list
};

/// A grant is made only for bytes that the peer has announced, so it is used by a peer that is sending; and
/// never for more chunks than those bytes fill, so none is left over. Channels take turns.
class ReceiveBudget {
 public:
  /// `slots` chunks of `slot_bytes` in all, of which one channel gets at most `window`.
  ReceiveBudget(std::size_t slots, std::size_t slot_bytes, std::size_t window) noexcept
      : slot_bytes_(slot_bytes), window_(window), free_(slots) {}

  /// Makes room for `demands` channels in all, so that nothing later allocates.
  void reserve(std::size_t demands) { waiting_.reserve(demands); }

  void expect(Demand& demand, std::int64_t bytes) noexcept;
  void arrived(Demand& demand, std::int64_t bytes) noexcept;
  void popped(Demand& demand) noexcept;
  /// Ends an account; chunks that still come are the peer's mistake.
  void withdraw(Demand& demand) noexcept;

  /// Gives out what is free; calls `granted(demand)` for each account that got something.
  template <typename Granted>
  void grant(Granted granted) noexcept {
    if (!changed_) return;
    changed_ = false;
    while (grant_round()) {
    }
    for (Demand* demand : waiting_)
      if (demand->granted != demand->told) {
        demand->told = demand->granted;
        granted(*demand);
      }
    drop_satisfied();
  }

  std::size_t free() const noexcept { return free_; }

 private:
  std::uint64_t wanted(const Demand& demand) const noexcept;
  bool grant_round() noexcept;
  void drop_satisfied() noexcept;

  std::size_t slot_bytes_, window_, free_;
  bool changed_ = false;
  std::size_t next_ = 0;
  std::vector<Demand*> waiting_;
};

}  // namespace mpix::transport::ucx
