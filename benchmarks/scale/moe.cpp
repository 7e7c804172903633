// SPDX-License-Identifier: BSD-3-Clause
/// Mixture-of-experts dispatch. A token visits nodes, all different where its experts are limited to few
/// nodes, and on each of them some of the node's experts; every rank has the same number of experts.
#include <algorithm>
#include <cmath>

#include "benchmarks/common/random.hpp"
#include "benchmarks/scale/traffics.hpp"

namespace mpix::bench {
namespace {

enum Purpose : std::uint64_t { routing = 31, arrivals = 32 };

/// Ranks whose arrivals are simulated: their heaviest stands for the heaviest of all.
constexpr std::int64_t kSimulated = 512;
constexpr std::int64_t kExperts = 256;  // at least, over all ranks

class Moe : public Traffic {
 public:
  /// `visits`: nodes that a token visits, each for topk / visits experts.
  Moe(const ScaleCase& what, std::int64_t visits)
      : what_(what),
        visits_(visits),
        each_(what.topk / visits),
        experts_((kExperts + what.ranks - 1) / what.ranks) {
    const std::int64_t wanted = std::max<std::int64_t>(kSimulated / what.per_node, 1);
    const std::int64_t step = std::max<std::int64_t>(what.nodes() / wanted, 1);
    for (std::int64_t n = 0; n < what.nodes(); n += step) nodes_.push_back(n);
  }

  LayoutRef sent_by(std::int64_t rank) const override {
    Random random(what_.seed, Purpose::routing, static_cast<std::uint64_t>(rank));
    std::vector<std::int64_t> peers, offsets;
    std::vector<std::int64_t> chosen;
    for (std::int64_t token = 0; token < what_.tokens; ++token) {
      chosen.clear();
      for (std::int64_t v = 0; v < visits_; ++v) {
        visit(below(random, what_.nodes()), chosen, random);
      }
      for (const std::int64_t expert : chosen) {
        peers.push_back(expert / experts_);
        offsets.push_back(token * what_.row);
      }
    }
    return rows_layout(what_.ranks, peers, offsets, what_.row);
  }

  /// Of each source's tokens' visits, those to the nodes in question are drawn, with the distribution that
  /// all would have.
  void visit_flows(const std::function<void(const Flow&)>& visit_flow) const override {
    FlowTable table(what_, nodes_);
    const double share = static_cast<double>(nodes_.size()) / static_cast<double>(what_.nodes());
    const double scale = share < 1 ? 1 / std::log1p(-share) : 0;
    std::vector<std::int64_t> chosen;
    for (std::int64_t source = 0; source < what_.ranks; ++source) {
      Random random(what_.seed, Purpose::arrivals, static_cast<std::uint64_t>(source));
      std::int64_t token = -1;
      const std::int64_t visits = what_.tokens * visits_;
      for (std::int64_t v = skip(random, scale); v < visits; v += 1 + skip(random, scale)) {
        if (v / visits_ != token) {
          add_token(table, source, chosen);
          chosen.clear();
          token = v / visits_;
        }
        visit(nodes_[static_cast<std::size_t>(below(random, static_cast<std::int64_t>(nodes_.size())))],
              chosen, random);
      }
      add_token(table, source, chosen);
      chosen.clear();
      table.flush(visit_flow);
    }
  }

 private:
  static std::int64_t below(Random& random, std::int64_t n) {
    return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(n)));
  }
  /// Visits to other nodes before the next one in question: geometric.
  static std::int64_t skip(Random& random, double scale) {
    return scale == 0 ? 0 : static_cast<std::int64_t>(std::min(std::log(random.unit()) * scale, 1e15));
  }

  /// Draws experts on `node`, other ones than in `chosen`; elsewhere where that is not possible.
  void visit(std::int64_t node, std::vector<std::int64_t>& chosen, Random& random) const {
    const std::int64_t on_node = what_.per_node * experts_;
    const auto used = [&](std::int64_t n) {
      return std::count_if(chosen.begin(), chosen.end(), [&](std::int64_t e) { return e / on_node == n; });
    };
    const bool distinct = visits_ < what_.topk;
    while (distinct ? used(node) > 0 : used(node) >= on_node) node = (node + 1) % what_.nodes();
    for (std::int64_t i = 0; i < each_;) {
      const std::int64_t expert = node * on_node + below(random, on_node);
      if (std::find(chosen.begin(), chosen.end(), expert) != chosen.end()) continue;
      chosen.push_back(expert);
      ++i;
    }
  }

  void add_token(FlowTable& table, std::int64_t source, const std::vector<std::int64_t>& chosen) const {
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      const std::int64_t rank = chosen[i] / experts_;
      const bool first = std::none_of(
          chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(i),
          [&](std::int64_t e) { return e / experts_ / what_.per_node == rank / what_.per_node; });
      table.add(source, rank, what_.row, first ? what_.row : 0);
    }
  }

  ScaleCase what_;
  std::int64_t visits_, each_, experts_;  // experts_: of a rank
};

}  // namespace

std::unique_ptr<Traffic> make_moe(const ScaleCase& what, std::int64_t visits) {
  return std::make_unique<Moe>(what, visits);
}

}  // namespace mpix::bench
