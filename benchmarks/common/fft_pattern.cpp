// SPDX-License-Identifier: BSD-3-Clause
/// Transposes of a distributed 3-D FFT. Axis `from` is divided over the ranks of a communicator before, axis
/// `to` after; of pencils the third axis stays divided over the other direction of the process grid.
#include <algorithm>
#include <numeric>

#include "benchmarks/common/patterns.hpp"

namespace mpix::bench {
namespace {

constexpr std::int64_t kTail = 64;  ///< bytes behind the array that nobody may write

struct Range {
  std::int64_t start, length;
};

/// Part `index` of `n` elements in `parts` parts whose lengths differ by at most one.
Range part_of(std::int64_t n, int parts, int index) {
  const std::int64_t small = n / parts;
  const std::int64_t larger = n % parts;
  return {index * small + std::min<std::int64_t>(index, larger), small + (index < larger ? 1 : 0)};
}

bool among_x(const Transpose& transpose) {
  return transpose.from == 0 || transpose.to == 0;
}

/// Ranks among which the data moves. Slabs: all; pencils: x and y move along P, y and z along Q.
int ranks_of(const Transpose& transpose, Procs procs, int ranks) {
  if (!transpose.pencil) return ranks;
  return among_x(transpose) ? procs.x : procs.y;
}

std::vector<Transpose> default_transposes(Procs procs, int ranks) {
  std::vector<Transpose> transposes{{false, 0, 1}, {false, 1, 0}};
  if (procs.y > 1) transposes.insert(transposes.end(), {{true, 1, 2}, {true, 2, 1}});
  if (procs.x > 1 && procs.x < ranks) transposes.insert(transposes.end(), {{true, 0, 1}, {true, 1, 0}});
  return transposes;
}

Comm split(MPI_Comm comm, int color, int key) {
  Comm part;
  check(MPI_Comm_split(comm, color, key, part.out()), "MPI_Comm_split");
  return part;
}

/// An array whose axis `divided` is cut into one box for each of `parts` peers.
Side boxes_side(const std::int64_t extents[3], int divided, int parts) {
  Side side;
  side.kind = Side::Kind::boxes;
  std::copy_n(extents, 3, side.array);
  for (int rank = 0; rank < parts; ++rank) {
    Box box{{0, 0, 0}, {extents[0], extents[1], extents[2]}};
    const Range range = part_of(extents[divided], parts, rank);
    box.starts[divided] = range.start;
    box.extents[divided] = range.length;
    side.boxes.push_back(box);
  }
  side.buffer_bytes = extents[0] * extents[1] * extents[2] * kElementBytes + kTail;
  return side;
}

}  // namespace

Procs process_grid(const Options& options, int ranks) {
  if (options.procs_x > 0) {
    if (options.procs_x * options.procs_y != ranks) {
      throw Error("--procs: " + std::to_string(options.procs_x) + "x" + std::to_string(options.procs_y) +
                  " does not give the " + std::to_string(ranks) + " ranks of this run");
    }
    return {options.procs_x, options.procs_y};
  }
  int x = 1;
  for (int p = 1; p * p <= ranks; ++p) {
    if (ranks % p == 0) x = p;
  }
  return {x, ranks / x};
}

std::vector<Case> list_fft_cases(const Options& options, int ranks) {
  const Procs procs = process_grid(options, ranks);
  const auto transposes = options.transposes.empty() ? default_transposes(procs, ranks) : options.transposes;
  std::vector<Case> cases;
  for (const Grid& grid : options.grids) {
    for (const Transpose& transpose : transposes) {
      const std::int64_t bytes = grid.x * grid.y * grid.z * kElementBytes / ranks;
      cases.push_back({bytes / ranks_of(transpose, procs, ranks), 0, grid, transpose});
    }
  }
  return cases;
}

Exchange make_fft_exchange(const Options& options, const Case& what, MPI_Comm comm) {
  const int ranks = comm_size(comm);
  const int rank = comm_rank(comm);
  const Procs procs = process_grid(options, ranks);
  const Transpose transpose = what.transpose;
  const int along_x = rank / procs.y;
  const int along_y = rank % procs.y;
  Exchange exchange;
  exchange.comm = comm;
  std::int64_t before[3] = {what.grid.x, what.grid.y, what.grid.z};
  if (transpose.pencil) {
    const bool x = among_x(transpose);
    exchange.owned = split(comm, x ? along_y : along_x, rank);
    exchange.comm = exchange.owned.get();
    const int third = 3 - transpose.from - transpose.to;
    before[third] =
        (x ? part_of(before[third], procs.y, along_y) : part_of(before[third], procs.x, along_x)).length;
  }
  const int parts = comm_size(exchange.comm);
  const int me = comm_rank(exchange.comm);
  std::int64_t after[3] = {before[0], before[1], before[2]};
  before[transpose.from] = part_of(before[transpose.from], parts, me).length;
  after[transpose.to] = part_of(after[transpose.to], parts, me).length;
  exchange.send = boxes_side(before, transpose.to, parts);
  exchange.recv = boxes_side(after, transpose.from, parts);
  return exchange;
}

}  // namespace mpix::bench
