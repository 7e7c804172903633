// SPDX-License-Identifier: BSD-3-Clause
/// One MPI_Alltoallv between the nodes, one inside the node, each with a gather before and a scatter or the
/// next gather behind it.
#include <limits>

#include "benchmarks/moe/forwarding.hpp"

namespace mpix::bench {
namespace {

constexpr std::int64_t kAll = std::numeric_limits<std::int64_t>::max();

/// Bytes for and from each rank of a communicator, laid end to end; rows are added rank after rank, then the
/// memory is made.
struct Staging {
  VArguments arguments;
  std::int64_t bytes = 0;
  std::unique_ptr<Buffer> buffer;
  std::unique_ptr<MpiMemory> mpi;

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
  void allocate(Memory memory) {
    buffer = std::make_unique<Buffer>(bytes, memory);
    mpi = make_mpi_memory(*buffer);
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
        recv_(what.buffers.recv) {
    const int me = comm_rank(what.comm());
    plan_between(what, me);
    plan_gather_inside(what, me);
    plan_scatter(what, me);
    make_movements(what.buffers.send);
  }

  const char* name() const override { return "two-stage"; }

  void run() override {
    if (several_nodes_) {
      gather_between_->run();
      exchange(between_out_, between_in_, between_.get());
    }
    gather_own_->run();
    gather_arrived_->run();
    exchange(inside_out_, inside_in_, inside_.get());
    scatter_->run();
    settle(recv_);
  }

  MPI_Request start() override {
    run();
    return MPI_REQUEST_NULL;
  }

 private:
  static void exchange(const Staging& out, const Staging& in, MPI_Comm comm) {
    out.mpi->give(out.arguments);
    check(
        MPI_Alltoallv(out.mpi->data(), out.arguments.counts.data(), out.arguments.displs.data(), MPI_BYTE,
                      in.mpi->data(), in.arguments.counts.data(), in.arguments.displs.data(), MPI_BYTE, comm),
        "MPI_Alltoallv");
    in.mpi->take(in.arguments);
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
            rows_between_.push_back({token * row_, between_out_.add(row_)});
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
          auto& copies = piece.origin == me ? rows_own_ : rows_arrived_;
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
            rows_scattered_.push_back({from, place * row_});
          });
        }
      }
    }
  }

  /// All of it in the memory of the exchange's buffers, if that is a GPU's.
  void make_movements(const Buffer& send) {
    const Memory memory = send.memory() == Memory::cuda ? Memory::cuda : Memory::malloc;
    for (Staging* staging : {&between_out_, &between_in_, &inside_out_, &inside_in_})
      staging->allocate(memory);
    gather_between_ = make_row_movement(rows_between_, row_, send, *between_out_.buffer);
    gather_own_ = make_row_movement(rows_own_, row_, send, *inside_out_.buffer);
    gather_arrived_ = make_row_movement(rows_arrived_, row_, *between_in_.buffer, *inside_out_.buffer);
    scatter_ = make_row_movement(rows_scattered_, row_, *inside_in_.buffer, recv_);
  }

  std::int64_t row_;
  Comm between_;
  Comm inside_;  ///< the ranks of this node
  const Buffer& recv_;
  bool several_nodes_ = false;
  Staging between_out_, between_in_, inside_out_, inside_in_;
  std::vector<RowCopy> rows_between_;  ///< from the table of tokens
  std::vector<RowCopy> rows_own_;      ///< from the table of tokens, for ranks of this node
  std::vector<RowCopy> rows_arrived_;  ///< from what came from other nodes
  std::vector<RowCopy> rows_scattered_;
  std::unique_ptr<Movement> gather_between_, gather_own_, gather_arrived_, scatter_;
};

}  // namespace

std::unique_ptr<Method> make_two_stage(const DispatchCase& what) {
  return std::make_unique<TwoStage>(what);
}

}  // namespace mpix::bench
