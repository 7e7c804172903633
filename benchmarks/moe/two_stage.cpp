// SPDX-License-Identifier: BSD-3-Clause
/// One MPI_Alltoallv between the nodes, one inside the node, each with a gather before and a scatter or the
/// next gather behind it.
#include <limits>

#include "benchmarks/moe/forwarding.hpp"

namespace mpix::bench {
namespace {

constexpr std::int64_t kAll = std::numeric_limits<std::int64_t>::max();

/// Bytes for and from each rank of a communicator, laid end to end; rows are added rank after rank.
struct Staging {
  VArguments arguments;
  std::int64_t bytes = 0;

  void next_rank() {
    arguments.counts.push_back(0);
    arguments.displs.push_back(to_int(bytes, "a displacement in bytes"));
  }
  /// Gives the row's place.
  std::int64_t add(std::int64_t row) {
    const std::int64_t at = bytes;
    bytes += row;
    arguments.counts.back() = to_int(bytes - arguments.displs.back(), "bytes for a peer");
    return at;
  }
};

Comm split(MPI_Comm comm, int color) {
  Comm part;
  check(MPI_Comm_split(comm, color, comm_rank(comm), part.out()), "MPI_Comm_split");
  check(MPI_Comm_set_errhandler(part.get(), MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  return part;
}

/// Which ranks exchange rows between nodes: those of one local number, or all where the nodes differ in size.
int color_between(const Nodes& nodes, int rank) {
  for (const auto& ranks : nodes.ranks) {
    if (ranks.size() != nodes.ranks.front().size()) return 0;
  }
  return nodes.local(rank);
}

class TwoStage : public Method {
 public:
  explicit TwoStage(const DispatchCase& what)
      : row_(what.row),
        between_(split(what.comm(), color_between(what.nodes, comm_rank(what.comm())))),
        inside_(split(what.comm(), what.nodes.node(comm_rank(what.comm())))),
        send_(what.buffers.send.data()),
        recv_(what.buffers.recv.data()) {
    const int me = comm_rank(what.comm());
    plan_between(what, me);
    plan_gather_inside(what, me);
    plan_scatter(what, me);
    for (const Staging* staging : {&between_out_, &between_in_, &inside_out_, &inside_in_})
      memory_.emplace_back(staging->bytes, Memory::malloc);
  }

  const char* name() const override { return "two-stage"; }

  void run() override {
    std::byte* const between_out = memory_[0].data();
    std::byte* const between_in = memory_[1].data();
    std::byte* const inside_out = memory_[2].data();
    std::byte* const inside_in = memory_[3].data();
    if (several_nodes_) {
      copy_rows(gather_between_, row_, send_, between_out);
      exchange(between_out, between_out_, between_in, between_in_, between_.get());
    }
    copy_rows(gather_own_, row_, send_, inside_out);
    copy_rows(gather_arrived_, row_, between_in, inside_out);
    exchange(inside_out, inside_out_, inside_in, inside_in_, inside_.get());
    copy_rows(scatter_, row_, inside_in, recv_);
  }

  MPI_Request start() override {
    run();
    return MPI_REQUEST_NULL;
  }

 private:
  static void exchange(const std::byte* from, const Staging& sent, std::byte* to, const Staging& received,
                       MPI_Comm comm) {
    check(MPI_Alltoallv(from, sent.arguments.counts.data(), sent.arguments.displs.data(), MPI_BYTE, to,
                        received.arguments.counts.data(), received.arguments.displs.data(), MPI_BYTE, comm),
          "MPI_Alltoallv");
  }

  /// What goes to and comes from the forwarders.
  void plan_between(const DispatchCase& what, int me) {
    const Nodes& nodes = what.nodes;
    several_nodes_ = nodes.count() > 1;
    const int home = nodes.node(me);
    const int color = color_between(nodes, me);
    for (int peer = 0; peer < what.routing.ranks(); ++peer) {
      if (color_between(nodes, peer) != color) continue;
      between_out_.next_rank();
      between_in_.next_rank();
      const int away = nodes.node(peer);
      if (away == home) continue;
      if (forwarder_of(nodes, me, away) == peer) {
        for (const Piece& piece : pieces_of(what.routing, nodes, me, away, kAll)) {
          for (const std::int64_t token : piece.tokens)
            gather_between_.push_back({token * row_, between_out_.add(row_)});
        }
      }
      if (forwarder_of(nodes, peer, home) == me) {
        for (const Piece& piece : pieces_of(what.routing, nodes, peer, home, kAll)) {
          for (std::size_t i = 0; i < piece.tokens.size(); ++i) between_in_.add(row_);
        }
      }
    }
  }

  /// What this rank hands to each rank of its node. Arrived pieces lie in the order of pieces_of().
  void plan_gather_inside(const DispatchCase& what, int me) {
    const auto pieces = pieces_of(what.routing, what.nodes, me, {kAll, kAll});
    for (const int peer : what.nodes.on(what.nodes.node(me))) {
      inside_out_.next_rank();
      std::int64_t arrived = 0;
      for (const Piece& piece : pieces) {
        for (const std::int64_t token : piece.tokens) {
          const std::int64_t from = piece.origin == me ? token * row_ : arrived;
          if (piece.origin != me) arrived += row_;
          if (!needs(what.routing, peer, piece.origin, token)) continue;
          auto& copies = piece.origin == me ? gather_own_ : gather_arrived_;
          copies.push_back({from, inside_out_.add(row_)});
        }
      }
    }
  }

  void plan_scatter(const DispatchCase& what, int me) {
    const Places places(what.routing, me);
    for (const int forwarder : what.nodes.on(what.nodes.node(me))) {
      inside_in_.next_rank();
      for (const Piece& piece : pieces_of(what.routing, what.nodes, forwarder, {kAll, kAll})) {
        for (const std::int64_t token : piece.tokens) {
          if (!needs(what.routing, me, piece.origin, token)) continue;
          const std::int64_t from = inside_in_.add(row_);
          places.for_each(piece.origin, token, [&](std::int64_t place) {
            scatter_.push_back({from, place * row_});
          });
        }
      }
    }
  }

  std::int64_t row_;
  Comm between_;
  Comm inside_;  ///< the ranks of this node
  const std::byte* send_;
  std::byte* recv_;
  bool several_nodes_ = false;
  Staging between_out_, between_in_, inside_out_, inside_in_;
  std::vector<RowCopy> gather_between_;  ///< from the table of tokens
  std::vector<RowCopy> gather_own_;      ///< from the table of tokens, for ranks of this node
  std::vector<RowCopy> gather_arrived_;  ///< from what came from other nodes
  std::vector<RowCopy> scatter_;
  std::vector<Buffer> memory_;
};

}  // namespace

std::unique_ptr<Method> make_two_stage(const DispatchCase& what) {
  return std::make_unique<TwoStage>(what);
}

}  // namespace mpix::bench
