// SPDX-License-Identifier: BSD-3-Clause
/// Where the rows go that a peer of the node sends once for several places, kept by the receiver: when the
/// plan is executed again, its packets hold rows and nothing else.
///
/// The sender numbers what it may send so. A receiver that has kept the places of a number says so in its
/// announcement, exchange by exchange; so the sender keeps nothing, and both may give up what they like.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/host.hpp"
#include "plan/node_send.hpp"

namespace mpix::engine {

/// Places of shorter runs, in the mean, cost more than sending these once saves.
inline constexpr std::int64_t kShortestKept = 48;
/// In shorter messages nothing is looked for that repeats.
inline constexpr std::int64_t kLeastRepeats = 64 << 10;

/// What a rank sends to one of its node, equal bytes once.
struct Repeats {
  plan::NodeSend send;
  bool lists_pay = true;  ///< also where the receiver does not keep them
  /// Under which the receiver keeps them, distinct on this communicator; 0 for none. Given by the exchange
  /// whose peer is the first to want to, unless the numbers have run out.
  mutable std::uint32_t number = 0;
};

/// How many of the unique bytes from a position on go into one chunk, and those times their places.
struct RowsExtent {
  std::int64_t bytes = 0, delivered = 0;
};
/// Whole ranges from number `range` on, of which `within` bytes are through, as long as they fit `room`; of a
/// range that is longer, a part.
RowsExtent fit_rows(const plan::NodeSend& send, std::int64_t range, std::int64_t within,
                    std::int64_t room) noexcept;

class KeptPlaces {
 public:
  /// Where scatter() goes on.
  struct Cursor {
    std::size_t piece = 0, span = 0;
  };

  /// `bytes` unique bytes at `data`, those from `position` on.
  struct Rows {
    const std::byte* data;
    std::int64_t position, bytes;
    std::int64_t end() const noexcept { return position + bytes; }
  };
  /// A receive buffer, and how it is written.
  struct Target {
    const kernels::HostKernels& kernels;
    std::byte* base;
    kernels::Stores stores;
  };

  explicit KeptPlaces(std::uint32_t number) noexcept : number_(number) {}

  std::uint32_t number() const noexcept { return number_; }
  /// Bytes in all places.
  std::int64_t delivered() const noexcept { return delivered_; }
  std::int64_t memory() const noexcept;

  /// `bytes` of the unique bytes, those from `from` on, go to `to`, in bytes from the receive buffer's
  /// address. Throws std::bad_alloc.
  void add(std::int64_t from, std::int64_t to, std::int64_t bytes);
  /// After the last add(), before the first scatter(). Throws std::bad_alloc.
  void finish();

  /// Puts rows into all their places; returns how many bytes were written. Calls go through the positions in
  /// order; `cursor` is the last one's.
  std::int64_t scatter(const Target& target, const Rows& rows, Cursor& cursor) const noexcept;

 private:
  /// Pieces of one length, up to the next span's first.
  struct Span {
    std::size_t first;
    std::int64_t length;
  };

  /// Pieces [first, last), of each the bytes [begin, end).
  struct Part {
    std::size_t first, last;
    std::int64_t begin, end;
  };

  void sort();
  Part part_of(const Rows& rows, std::size_t piece, std::size_t span) const noexcept;
  std::int64_t copy(const Target& target, const Rows& rows, const Part& part) const noexcept;
  std::size_t end_of(std::size_t span) const noexcept {
    return span + 1 < spans_.size() ? spans_[span + 1].first : from_.size();
  }

  std::uint32_t number_;
  std::int64_t delivered_ = 0;
  bool sorted_ = true;
  std::vector<std::int64_t> from_, to_;  // of pieces, ascending by `from` once finished
  std::vector<Span> spans_;
};

/// What is kept of one peer under a plan.
struct KeptOfPeer {
  /// Places that were kept in vain, one after another, before no more are.
  static constexpr int kMostVain = 2;

  std::shared_ptr<const KeptPlaces> places;
  bool used = false;  ///< since they were kept
  int vain = 0;       ///< others that were not used, since some were

  bool keeps() const noexcept { return vain < kMostVain; }
  void use() noexcept {
    used = true;
    vain = 0;
  }
  void replace(std::shared_ptr<const KeptPlaces> others) noexcept {
    if (places != nullptr && places->number() == others->number()) return;  // of exchanges that overlapped
    if (places != nullptr && !used) ++vain;
    places = std::move(others);
    used = false;
  }
};

}  // namespace mpix::engine
