// SPDX-License-Identifier: BSD-3-Clause
/// A sparse graph: half of a rank's peers are near it, half anywhere, as the ranks of a partitioned mesh or
/// matrix have them. Every peer needs each row of the sender's table with the same probability, so that peers
/// share rows.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "benchmarks/common/random.hpp"
#include "benchmarks/scale/traffics.hpp"

namespace mpix::bench {
namespace {

enum Purpose : std::uint64_t { graph = 41, rows = 42 };

constexpr std::int64_t kNear = 64;  // ranks to either side

class Sparse : public Traffic {
 public:
  explicit Sparse(const ScaleCase& what)
      : what_(what),
        degree_(std::min(what.degree, what.ranks - 1)),
        share_(std::min(1.0, static_cast<double>(what.topk) / static_cast<double>(degree_))) {
    nodes_.resize(static_cast<std::size_t>(what.nodes()));
    std::iota(nodes_.begin(), nodes_.end(), 0);
  }

  LayoutRef sent_by(std::int64_t rank) const override {
    Random random(what_.seed, Purpose::rows, static_cast<std::uint64_t>(rank));
    std::vector<std::int64_t> to, offsets;
    for (const std::int64_t peer : peers_of(rank)) {
      for (std::int64_t i = 0; i < what_.tokens; ++i) {
        if (random.unit() > share_) continue;
        to.push_back(peer);
        offsets.push_back(i * what_.row);
      }
    }
    return rows_layout(what_.ranks, to, offsets, what_.row);
  }

  /// Expected numbers of rows: the graph is drawn, not every row.
  void visit_flows(const std::function<void(const Flow&)>& visit) const override {
    FlowTable table(what_, nodes_);
    const double all = static_cast<double>(what_.tokens);
    std::vector<std::int64_t> seen;  // of the source, nodes of the peers so far
    for (std::int64_t source = 0; source < what_.ranks; ++source) {
      seen.clear();
      for (const std::int64_t peer : peers_of(source)) {
        const std::int64_t node = peer / what_.per_node;
        const auto before = static_cast<double>(std::count(seen.begin(), seen.end(), node));
        const double fresh = all * share_ * std::pow(1 - share_, before);
        seen.push_back(node);
        table.add(source, peer, std::llround(all * share_) * what_.row, std::llround(fresh) * what_.row);
      }
      table.flush(visit);
    }
  }

 private:
  std::vector<std::int64_t> peers_of(std::int64_t rank) const {
    Random random(what_.seed, Purpose::graph, static_cast<std::uint64_t>(rank));
    const auto below = [&](std::int64_t n) {
      return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(n)));
    };
    std::vector<std::int64_t> peers;
    const std::int64_t near = std::min(kNear, (what_.ranks - 1) / 2);
    while (static_cast<std::int64_t>(peers.size()) < degree_) {
      const bool is_near = static_cast<std::int64_t>(peers.size()) < std::min(degree_ / 2, near);
      const std::int64_t peer =
          is_near ? (rank + below(2 * near + 1) - near + what_.ranks) % what_.ranks : below(what_.ranks);
      if (peer == rank || std::find(peers.begin(), peers.end(), peer) != peers.end()) continue;
      peers.push_back(peer);
    }
    return peers;
  }

  ScaleCase what_;
  std::int64_t degree_;
  double share_;  // of the table's rows, to each peer
};

}  // namespace

std::unique_ptr<Traffic> make_sparse(const ScaleCase& what) {
  return std::make_unique<Sparse>(what);
}

}  // namespace mpix::bench
