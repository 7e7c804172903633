// SPDX-License-Identifier: BSD-3-Clause
#include "benchmarks/scale/traffic.hpp"

#include <mpi.h>

#include "benchmarks/scale/traffics.hpp"
#include "layout/build.hpp"

namespace mpix::bench {

LayoutRef rows_layout(std::int64_t ranks, const std::vector<std::int64_t>& peers,
                      const std::vector<std::int64_t>& offsets, std::int64_t row) {
  std::vector<MPI_Count> counts(static_cast<std::size_t>(ranks), 0);
  for (const std::int64_t peer : peers) ++counts[static_cast<std::size_t>(peer)];
  std::vector<std::size_t> next(counts.size(), 0);
  for (std::size_t p = 1; p < next.size(); ++p)
    next[p] = next[p - 1] + static_cast<std::size_t>(counts[p - 1]);
  std::vector<MPI_Aint> displs(offsets.size());
  for (std::size_t i = 0; i < offsets.size(); ++i)
    displs[next[static_cast<std::size_t>(peers[i])]++] = static_cast<MPI_Aint>(offsets[i]);
  const std::vector<MPI_Count> lengths(offsets.size(), row);
  return build_hindexed(static_cast<int>(ranks), counts.data(), lengths.data(), displs.data());
}

FlowTable::FlowTable(const ScaleCase& what, const std::vector<std::int64_t>& nodes)
    : per_node_(what.per_node), place_(static_cast<std::size_t>(what.nodes()), -1) {
  for (const std::int64_t node : nodes) {
    place_[static_cast<std::size_t>(node)] = static_cast<std::int32_t>(flows_.size());
    flows_.push_back({-1, node, 0, std::vector<std::int64_t>(static_cast<std::size_t>(what.per_node), 0)});
  }
}

void FlowTable::add(std::int64_t source, std::int64_t rank, std::int64_t bytes, std::int64_t unique) {
  const std::int64_t node = rank / per_node_;
  const std::int32_t place = place_[static_cast<std::size_t>(node)];
  if (place < 0 || node == source / per_node_) return;
  Flow& flow = flows_[static_cast<std::size_t>(place)];
  if (flow.source < 0) touched_.push_back(static_cast<std::size_t>(place));
  flow.source = source;
  flow.unique += unique;
  flow.to[static_cast<std::size_t>(rank % per_node_)] += bytes;
}

void FlowTable::flush(const std::function<void(const Flow&)>& visit) {
  for (const std::size_t place : touched_) {
    Flow& flow = flows_[place];
    visit(flow);
    flow.source = -1;
    flow.unique = 0;
    flow.to.assign(flow.to.size(), 0);
  }
  touched_.clear();
}

std::unique_ptr<Traffic> make_traffic(const std::string& name, const ScaleCase& what) {
  if (name == "moe") return make_moe(what, what.topk);
  if (name == "moe-limited") return make_moe(what, what.token_nodes);
  if (name == "fft") return make_fft(what);
  if (name == "sparse") return make_sparse(what);
  return nullptr;
}

}  // namespace mpix::bench
