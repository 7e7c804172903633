// SPDX-License-Identifier: BSD-3-Clause
/// What a rank does for the other ranks of its node: it takes packets from other nodes, and hands each
/// receiver its part through shared memory while later packets are still on their way. Serves all exchanges
/// of one communicator. Packets have channels of their own, apart from those of PairExchange.
///
/// A rank is needed as long as any rank of its node may still wait for packets. Where planning has told it
/// how much it hands on it ends an exchange after that; otherwise all ranks of a node end it together, unless
/// the node receives so little that no packets come: see unneeded.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/context.hpp"
#include "engine/errand_desk.hpp"
#include "engine/kept_lists.hpp"
#include "engine/packet.hpp"
#include "memory/board.hpp"
#include "plan/nodes.hpp"

namespace mpix::engine {

/// What a relay works on; the transports outlive it.
struct RelayParts {
  plan::NodeMap nodes;
  int rank = 0;
  std::unique_ptr<memory::Board> board;     ///< of this rank's node
  transport::Transport* network = nullptr;  ///< for packets between nodes
  transport::Transport* node = nullptr;  ///< for packets inside the node; null where the rank is alone there
  std::string devices;                   ///< that this rank uses between nodes, in words
  bool devices_differ = false;           ///< from those of another rank of the node
  bool forced = false;                   ///< any rank of the communicator forwards even short messages
  const kernels::HostKernels* kernels = nullptr;
};

/// Fewer bytes for a node are never forwarded, unless a rank is configured to do so or the node has
/// kFewestAggregated ranks. Ranks of other nodes rely on it: see Relay::no_packets_come.
inline constexpr std::int64_t kLeastForwarded = 16 << 10;
inline constexpr std::size_t kFewestAggregated = 8;
/// Relay::tell_expected: the rank needs the others of its node until it has finished.
inline constexpr std::uint32_t kNeedsNode = UINT32_MAX;

/// What became of a packet's part for a rank of its own.
enum class Taken {
  all,      ///< its bytes are in place, or nobody waits for them any more
  not_now,  ///< the exchange is not ready for them
};

/// Whose packets a relay moves.
class RelayClient {
 public:
  /// Takes the part of a packet that is for this rank.
  virtual Taken deliver(const PacketHeader& header, const PacketPart& part) noexcept = 0;
  /// Bytes that have come from another node for this one's ranks, and that were sent to another node for one
  /// of them.
  virtual void forwarded(std::uint64_t exchange, std::int64_t bytes) noexcept = 0;
  virtual void helped(std::uint64_t exchange, std::int64_t bytes) noexcept = 0;

 protected:
  ~RelayClient() = default;
};

class Relay {
 public:
  explicit Relay(RelayParts parts);

  const plan::NodeMap& nodes() const noexcept { return parts_.nodes; }
  int node() const noexcept { return node_; }
  const std::string& devices() const noexcept { return parts_.devices; }
  bool devices_differ() const noexcept { return parts_.devices_differ; }
  bool forced() const noexcept { return parts_.forced; }
  /// Packets to `rank` on another node. Throws Error (peer, no_memory).
  transport::Channel& network_channel(int rank);
  /// In which the exchanges send by it.
  Turns& turns(int rank);
  /// What `rank` keeps of the lists of packets that it gets as chunks, and with announcements.
  std::unique_ptr<SentList> sent_list(int rank, std::int64_t most);
  std::unique_ptr<SentList> sent_whole_list(int rank, std::int64_t most);

  /// This rank takes packets of this exchange and all before it, whoever sends them.
  void takes(std::uint64_t exchange) noexcept;
  /// This rank begins an exchange in which it gets at most `bytes` from any one rank of another node, or
  /// kNeedsNode.
  void tell_expected(std::uint64_t exchange, std::uint32_t bytes) noexcept;
  /// This rank has nothing left to do for itself in this exchange and all before it.
  void finished(std::uint64_t exchange) noexcept;
  /// This rank has sent what it has for other nodes in this exchange and all before it.
  void idle(std::uint64_t exchange) noexcept;
  /// Where it leaves errands to idle ranks of its node; null where it is alone there.
  ErrandDesk* desk() noexcept { return desk_ ? &*desk_ : nullptr; }
  /// Whether no rank of the node needs this one any more in the exchange: all have finished, or all have
  /// begun and no packets come, and what this rank has sent for others has left it.
  bool unneeded(std::uint64_t exchange) noexcept;
  /// Whether all ranks of the node have begun the exchange and together expect less than is forwarded.
  bool no_packets_come(std::uint64_t exchange) const noexcept;
  /// The rank of the node whose end of the exchange is awaited, for messages; -1 for none.
  int awaited(std::uint64_t exchange) const noexcept;

  /// Moves packets on; returns whether anything was moved. Not ok where a peer broke the protocol.
  Status progress(const Context& context, RelayClient& client, bool& happened) noexcept;

 private:
  /// A packet at the head of a channel, and how far it has been handed out.
  struct HandingOut {
    PacketView packet;
    bool read = false;            // the packet is that at the head, or its part from `from` on
    std::int64_t from = 0;        // bytes of data that parts before this one had
    std::int64_t part_bytes = 0;  // of data: all but where kept lists are put together
    std::size_t dest = 0;         // of the part's receivers, or of `again`
    PartCursor part;              // of the receiver's
    KeptLists kept;               // for such packets
    KeptPart* again = nullptr;    // whose packets are known: the part is handed out by these
    KeptPart* noting = nullptr;   // whose packets are being made

    void end_part() noexcept;
  };
  /// Of one rank of the node, by number less one.
  using NodeKept = std::vector<std::unique_ptr<KeptEntries>>;
  /// A channel from another node.
  struct Source {
    int rank = 0;
    transport::Channel* channel = nullptr;
    Turns turns;
    std::shared_ptr<ListNumbers> numbers = std::make_shared<ListNumbers>();        // what the rank keeps
    std::shared_ptr<ListNumbers> whole_numbers = std::make_shared<ListNumbers>();  // likewise
    HandingOut announced, arrived;  // packets that come with announcements, and as chunks
  };

  bool all_finished(std::uint64_t exchange) noexcept;
  Source& source(int rank);
  Status greet(bool& happened);
  Status take_network(RelayClient& client, bool& happened) noexcept;
  Status take_network(Source& from, RelayClient& client, bool& happened) noexcept;
  Status take_node(std::size_t local, RelayClient& client, bool& happened);
  Status take_node(RelayClient& client, bool& happened) noexcept;
  Status hand_out(HandingOut& out, int rank, std::span<const std::byte> payload, RelayClient& client,
                  bool& happened, bool& whole) noexcept;
  Status read(HandingOut& out, std::span<const std::byte> payload) noexcept;
  Status recall(HandingOut& out);
  bool hand_out_part(HandingOut& out, RelayClient& client, bool& happened, Status& status) noexcept;
  bool hand_out_entries(HandingOut& out, RelayClient& client, bool& happened, Status& status);
  bool hand_to(HandingOut& out, const PacketDest& dest, bool& happened, Status& status);
  bool note(HandingOut& out, std::size_t local, std::uint32_t number) noexcept;
  void note_own(HandingOut& out, const PacketPart& part) noexcept;
  void stop_noting(HandingOut& out) noexcept;
  bool hand_out_again(HandingOut& out, RelayClient& client, bool& happened, Status& status);
  bool takes(std::size_t local, std::uint64_t exchange) const noexcept;
  Status hand_on(std::size_t local, const std::byte* packet, std::uint64_t exchange, std::size_t payload);
  Status take_packet(NodeKept& kept, std::span<const std::byte> payload, RelayClient& client, bool& taken);
  transport::Channel& node_channel(std::size_t local);

  RelayParts parts_;
  int node_;
  std::size_t self_;  // place among the ranks of the node
  KeptParts kept_parts_;
  std::vector<std::unique_ptr<Source>> sources_;
  std::unordered_map<int, Source*> by_rank_;
  std::vector<transport::Channel*> node_channels_;  // by local rank; null until used
  std::vector<std::uint64_t> seen_finished_;
  std::uint64_t seen_arrivals_ = transport::kUncounted;
  bool network_waits_ = true;  // packets may be at the heads of the network's channels
  std::uint64_t bell_ = 0;
  bool more_ = false;  // packets were left in a node channel
  PacketView node_packet_;
  std::vector<NodeKept> node_kept_;  // by local rank
  PartWriter part_writer_;
  std::optional<ErrandDesk> desk_;
  bool knows_attach_ = false;
};

}  // namespace mpix::engine
