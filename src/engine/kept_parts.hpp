// SPDX-License-Identifier: BSD-3-Clause
/// How a forwarder hands out parts whose lists it keeps (kept_lists.hpp): the first time by packets with
/// lists for each receiver, which keeps these; then by packets that say under which number they were kept, so
/// that nobody goes through the entries one by one again.
///
/// The forwarder alone decides what is kept: its packets to a rank are read in the order in which they were
/// written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <vector>

#include "engine/kept_entries.hpp"
#include "engine/packet.hpp"
#include "kernels/host.hpp"

namespace mpix::engine {

/// Largest number under which a rank keeps the entries of a packet from another rank of its node.
inline constexpr std::uint32_t kMostNodeNumber = 1 << 24;

/// Numbers under which one rank of the node keeps entries.
class NodeNumbers {
 public:
  /// Of those that were used before, the last given back; 0 where there is none left, or no memory.
  std::uint32_t take() noexcept;
  void give_back(std::uint32_t number) noexcept { unused_.push_back(number); }

 private:
  std::vector<std::uint32_t> unused_;  // has room for all
  std::uint32_t taken_ = 0;
};

/// One packet of a part, for one receiver.
class KeptPacket {
 public:
  /// This rank's own. Throws std::bad_alloc.
  KeptPacket(std::size_t local, const PacketHeader& header, const PacketPart& part);
  /// For another rank, which keeps its entries under `number`, which this takes over from `numbers`.
  KeptPacket(std::size_t local, NodeNumbers& numbers, std::uint32_t number) noexcept;
  KeptPacket(KeptPacket&& other) noexcept;
  KeptPacket& operator=(KeptPacket&&) = delete;
  ~KeptPacket();

  std::size_t local() const noexcept { return local_; }
  /// Null where it is another rank's.
  KeptEntries* own() const noexcept { return own_.get(); }
  /// Of the part's data, what the packet has. Throws std::bad_alloc.
  void set_rows(std::span<const PartWriter::Copy> copies);
  /// Size of what write() writes.
  std::size_t payload() const noexcept { return data_place(0) + static_cast<std::size_t>(bytes_); }
  /// Writes the packet, with the data of the part at `data`, in exchange and from source as `like` says.
  void write(std::byte* room, const PacketHeader& like, const std::byte* data,
             const kernels::HostKernels& kernels) const noexcept;

 private:
  std::size_t local_;
  std::unique_ptr<KeptEntries> own_;
  NodeNumbers* numbers_ = nullptr;
  std::uint32_t number_ = 0;
  std::int64_t bytes_ = 0;
  std::vector<std::int64_t> offsets_, lengths_;  // in the part's data; no lengths where all are run_
  std::int64_t run_ = 0;
};

class KeptParts;

/// A part and its packets, once they are known.
class KeptPart {
 public:
  KeptPart() = default;
  KeptPart(const KeptPart&) = delete;
  KeptPart& operator=(const KeptPart&) = delete;
  ~KeptPart();

  /// All packets are known.
  bool complete() const noexcept { return complete_; }
  std::span<const KeptPacket> packets() const noexcept { return packets_; }
  // While they are not:
  KeptPacket& add(KeptPacket packet) { return packets_.emplace_back(std::move(packet)); }
  void set_complete() noexcept { complete_ = true; }
  /// Is being handed out.
  void set_busy(bool busy) noexcept { busy_ = busy; }

 private:
  friend class KeptParts;

  KeptParts* owner_ = nullptr;  // where it counts; null: it does not
  std::list<KeptPart*>::iterator place_;
  std::int64_t bytes_ = 0;
  std::uint64_t used_ = 0;  // the last exchange
  bool complete_ = false, busy_ = false;
  std::vector<KeptPacket> packets_;
};

/// Bounds the memory for all of a rank's, here and at the receivers.
class KeptParts {
 public:
  /// Of a part that was not used in as many exchanges the packets may be forgotten for those of another one.
  static constexpr std::uint64_t kUnused = 16;

  KeptParts(std::size_t ranks, std::int64_t most) : numbers_(ranks), most_(most) {}
  KeptParts(const KeptParts&) = delete;
  KeptParts& operator=(const KeptParts&) = delete;

  /// Lets the packets of `part`, which has none yet, be kept, of `entries` entries for `dests` receivers;
  /// false where there is no room. Throws std::bad_alloc.
  bool begin(KeptPart& part, std::uint64_t exchange, std::size_t dests, std::size_t entries);
  /// Exchange `exchange` hands out `part`, which is kept.
  void use(KeptPart& part, std::uint64_t exchange) noexcept;
  /// Forgets the packets.
  void drop(KeptPart& part) noexcept;
  NodeNumbers& numbers(std::size_t local) noexcept { return numbers_[local]; }
  std::int64_t bytes() const noexcept { return bytes_; }

 private:
  std::vector<NodeNumbers> numbers_;  // by local rank
  std::list<KeptPart*> by_use_;       // the least recent first
  std::int64_t most_;
  std::int64_t bytes_ = 0;
};

}  // namespace mpix::engine
