// SPDX-License-Identifier: BSD-3-Clause
/// What the hand-written exchanges in two stages have in common: one copy of a row goes to a forwarder on
/// each node that needs it, which hands one copy to each of the node's ranks that need it, which puts it into
/// all its places.
#pragma once

#include <cstdint>
#include <vector>

#include "benchmarks/common/methods.hpp"
#include "benchmarks/common/movement.hpp"
#include "benchmarks/moe/routing.hpp"

namespace mpix::bench {

/// What a method of this program is made from; all of it must outlive the method.
struct DispatchCase {
  const Routing& routing;
  const Nodes& nodes;
  std::int64_t row;
  const Exchange& exchange;
  const Buffers& buffers;

  MPI_Comm comm() const { return exchange.comm; }
};

/// The rank of `node` that rows of `origin`, on another node, go to: the one of the same local number, modulo
/// the node's ranks.
int forwarder_of(const Nodes& nodes, int origin, int node);

/// Tokens of one rank that a forwarder handles together, ascending; all of them are needed on its node.
struct Piece {
  int origin;
  std::vector<std::int64_t> tokens;
};

/// The tokens of `origin` that `node` needs, in pieces of at most `most` tokens.
std::vector<Piece> pieces_of(const Routing& routing, const Nodes& nodes, int origin, int node,
                             std::int64_t most);

/// The most tokens of a piece: of a forwarder's own ones and of others.
struct PieceSizes {
  std::int64_t own, arrived;
};

/// All that `forwarder` hands on inside its node: its own tokens first, then those of the ranks that it is
/// the forwarder of, ascending.
std::vector<Piece> pieces_of(const Routing& routing, const Nodes& nodes, int forwarder, PieceSizes most);

bool needs(const Routing& routing, int rank, int origin, std::int64_t token);

/// Where the rows that a rank receives have to lie.
class Places {
 public:
  Places(const Routing& routing, int rank);

  /// Calls `visit(place)` for all places of a token's row.
  template <class Visit>
  void for_each(int origin, std::int64_t token, Visit visit) const {
    const std::size_t t = first_[static_cast<std::size_t>(origin)] + static_cast<std::size_t>(token);
    for (std::size_t i = starts_[t]; i < starts_[t + 1]; ++i) visit(places_[i]);
  }

 private:
  std::vector<std::size_t> first_;    ///< [ranks] tokens of lower ranks
  std::vector<std::size_t> starts_;   ///< [all tokens + 1]
  std::vector<std::int64_t> places_;  ///< token after token
};

// One function a method.
std::unique_ptr<Method> make_two_stage(const DispatchCase& what);
std::unique_ptr<Method> make_chunked(const DispatchCase& what, const Chunks& chunks);

}  // namespace mpix::bench
