// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "base/text.hpp"
#include "handle/mpi.hpp"
#include "tools/sections.hpp"
#include "topology/topology.hpp"

namespace mpix::tools {
namespace {

/// What every rank tells rank 0: the lowest rank of its node, and the node's name.
struct Member {
  int leader = 0;
  std::array<char, MPI_MAX_PROCESSOR_NAME> host{};
};

std::vector<Member> gather_members(int ranks) {
  Member mine;
  mine.leader = topology::discover(MPI_COMM_WORLD).ranks.front();
  int length = 0;
  check_mpi(MPI_Get_processor_name(mine.host.data(), &length), "MPI_Get_processor_name");
  std::vector<Member> members(static_cast<std::size_t>(ranks));
  constexpr int kBytes = static_cast<int>(sizeof(Member));
  check_mpi(MPI_Gather(&mine, kBytes, MPI_BYTE, members.data(), kBytes, MPI_BYTE, 0, MPI_COMM_WORLD),
            "MPI_Gather");
  return members;
}

/// "0-3,8" for ascending ranks.
std::string ranges(const std::vector<int>& ranks) {
  std::string result;
  for (std::size_t first = 0, last = 0; first < ranks.size(); first = ++last) {
    while (last + 1 < ranks.size() && ranks[last + 1] == ranks[last] + 1) ++last;
    result += text(result.empty() ? "" : ",", ranks[first]);
    if (last > first) result += text("-", ranks[last]);
  }
  return result;
}

}  // namespace

std::string job_section() {
  int ranks = 0;
  check_mpi(MPI_Comm_size(MPI_COMM_WORLD, &ranks), "MPI_Comm_size");
  const std::vector<Member> members = gather_members(ranks);
  std::string result = text("Job\n", line("ranks", text(ranks)));
  for (int leader = 0; leader < ranks; ++leader) {
    std::vector<int> node;
    for (int rank = 0; rank < ranks; ++rank)
      if (members[static_cast<std::size_t>(rank)].leader == leader) node.push_back(rank);
    if (!node.empty())
      result += line(text("node ", members[static_cast<std::size_t>(leader)].host.data()),
                     text("ranks ", ranges(node)));
  }
  return result + "\n";
}

}  // namespace mpix::tools
