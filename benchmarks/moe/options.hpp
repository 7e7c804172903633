// SPDX-License-Identifier: BSD-3-Clause
/// Command line of osu_moe_dispatch.
#pragma once

#include <string>
#include <vector>

#include "benchmarks/common/options.hpp"

namespace mpix::bench {

enum class Traffic { uniform, skewed, one_node, bimodal };
enum class MoeBaseline { packed, datatypes, two_stage, chunked, direct };

/// Bytes of a message of the chunked baseline, at least a row: between nodes, and inside one of what does not
/// come from another.
struct Chunks {
  std::int64_t between = 32 << 10;
  std::int64_t inside = 256 << 10;
};

struct MoeOptions {
  Options common;  ///< with the defaults of this program
  std::vector<Traffic> traffics{Traffic::uniform};
  std::vector<MoeBaseline> baselines{MoeBaseline::packed, MoeBaseline::datatypes, MoeBaseline::two_stage,
                                     MoeBaseline::chunked};
  double link_rate = 0;  ///< bytes a second of a node's network interfaces together; 0: not known
  Chunks chunks;
  std::vector<int> nodes_of_ranks;  ///< ranks of each node, in order; empty: as MPI says
};

const char* name(Traffic traffic);
const char* name(MoeBaseline baseline);

/// Throws an Error that names the option and what is wrong with it. No MPI calls.
MoeOptions parse_moe_options(int argc, char* const argv[]);

std::string moe_help_text();

}  // namespace mpix::bench
