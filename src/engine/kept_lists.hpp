// SPDX-License-Identifier: BSD-3-Clause
/// Lists of packets (packet_lists.hpp) that a forwarder keeps, so that a plan that is executed again does not
/// send them again. A packet says which part of which list its own lists are, or which part it is to be read
/// with. The sender alone decides what is kept, and counts the bytes: packets are read in the order in which
/// they were sent, so it knows what the forwarder has without asking.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>
#include <vector>

#include "engine/kept_parts.hpp"
#include "engine/packet.hpp"

namespace mpix::engine {

/// The numbers of the lists that a rank has let one forwarder keep, and the bytes of these there. A list that
/// is given up stays there until another one of its number begins. Thread-safe.
class ListNumbers {
 public:
  /// A number that is not in use, never 0; of several that under which most is kept. Throws std::bad_alloc.
  std::uint32_t take();
  void give_back(std::uint32_t number) noexcept;
  /// A list begins anew; grows.
  void begin(std::uint32_t number) noexcept;
  void add(std::uint32_t number, std::int64_t bytes) noexcept;
  /// Of all lists, and of all but one.
  std::int64_t bytes() const noexcept;
  std::int64_t bytes_beside(std::uint32_t number) const noexcept;

 private:
  mutable std::mutex mutex_;
  std::vector<std::uint32_t> unused_;
  std::vector<std::int64_t> bytes_;  // by number, less one
  std::int64_t total_ = 0;
};

/// What the forwarder of one lane has of the lane's list, by positions in the unique bytes of the route.
class SentList {
 public:
  /// At most `most` bytes of lists are kept by the forwarder under all of `numbers`.
  SentList(std::shared_ptr<ListNumbers> numbers, std::int64_t most) noexcept
      : numbers_(std::move(numbers)), most_(most) {}
  SentList(const SentList&) = delete;
  SentList& operator=(const SentList&) = delete;
  ~SentList();

  /// Bytes from `position` on whose lists the forwarder has, `most` at most; up to the end of a part where
  /// that is not less than half of them, since whole parts are handed out with less effort.
  std::int64_t known(std::int64_t position, std::int64_t most) const noexcept;
  /// Bytes from `position`, which is not known, up to the next that is.
  std::int64_t unknown(std::int64_t position) const noexcept;
  /// What the header of a packet says that is read with kept lists.
  std::uint32_t number() const noexcept { return number_; }
  /// What the header of a packet says whose lists are to be kept; 0: there is no room for more. Throws
  /// std::bad_alloc.
  std::uint32_t number_to_keep();
  /// A packet says so, of `bytes` bytes from `position` on, which were not known; with all introductions, if
  /// it `introduces`. False: there is no room for its lists, so it must not say so. Throws std::bad_alloc.
  bool keep(std::int64_t position, std::int64_t bytes, std::size_t list_bytes, bool introduces = false);
  /// Whether what is kept from `position` on begins with all introductions.
  bool introduces(std::int64_t position) const noexcept { return introducing_.contains(position); }
  /// A packet that said so may not have been sent: what is kept counts no more.
  void forget() noexcept {
    ends_.clear();
    introducing_.clear();
  }

 private:
  std::int64_t bytes_before() const noexcept;

  std::shared_ptr<ListNumbers> numbers_;
  std::int64_t most_;
  std::uint32_t number_ = 0;
  std::set<std::int64_t> introducing_;         // positions
  std::map<std::int64_t, std::int64_t> ends_;  // of the parts that are known, by their beginnings
};

/// What a forwarder keeps of one sender.
class KeptLists {
 public:
  /// Keeps the lists of a packet, if its header says so. Throws std::bad_alloc.
  void keep(const PacketHeader& header, const std::byte* lists);
  /// The receivers and entries of the packet's bytes from `from` on, as far as one kept part reaches: sets
  /// `view.dests`, `view.entries` and `bytes`. Status (internal) where nothing is kept of it.
  Status recall(const PacketHeader& header, std::int64_t from, PacketView& view, std::int64_t& bytes);
  /// How a kept part is handed out, where the packet has all of it, from `from` on; sets `bytes` to its
  /// data's. Null where there is no such. Lives until other lists are kept. Throws std::bad_alloc.
  KeptPart* whole_part(const PacketHeader& header, std::int64_t from, std::int64_t& bytes);

 private:
  struct Part {
    std::int64_t bytes = 0;  ///< of data
    std::uint32_t dests = 0, entries = 0;
    std::vector<std::byte> lists;
    std::unique_ptr<KeptPart> handed_out;  ///< made at the first use as a whole
  };
  using List = std::map<std::int64_t, Part>;  // by position
  std::unordered_map<std::uint32_t, List> lists_;
};

}  // namespace mpix::engine
