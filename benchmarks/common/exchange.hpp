// SPDX-License-Identifier: BSD-3-Clause
/// What a benchmark exchanges: for each buffer the blocks by peer, in terms from which the library's layouts,
/// MPI's datatypes and plain packing loops are all made.
#pragma once

#include <mpi.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "benchmarks/common/handles.hpp"

namespace mpix::bench {

/// A box of elements in a 3-D array in C order; the array's extents are the side's.
struct Box {
  std::int64_t starts[3];
  std::int64_t extents[3];

  std::int64_t elements() const { return extents[0] * extents[1] * extents[2]; }
};

inline constexpr std::int64_t kElementBytes = 16;  ///< a complex double

/// The blocks of one buffer.
struct Side {
  enum class Kind { rows, boxes };
  Kind kind = Kind::rows;
  std::int64_t buffer_bytes = 0;  ///< size of the buffer; not all of it need be named

  std::int64_t row = 0;              ///< rows: bytes of a row
  std::vector<std::int64_t> counts;  ///< rows: [peers] rows for each peer
  std::vector<MPI_Count> indices;    ///< rows: which, peer 0's first

  std::int64_t array[3] = {0, 0, 0};  ///< boxes: extents of the array in elements
  std::vector<Box> boxes;             ///< boxes: [peers]

  int peers() const { return static_cast<int>(kind == Kind::rows ? counts.size() : boxes.size()); }
};

std::int64_t bytes_for(const Side& side, int peer);
std::vector<std::int64_t> bytes_by_peer(const Side& side);
std::int64_t total_bytes(const Side& side);

/// A box as equal runs: `outer` times `inner` runs of `run` bytes. Neighbouring runs are already joined.
struct BoxRuns {
  std::int64_t offset, run;
  std::int64_t outer, outer_stride;
  std::int64_t inner, inner_stride;
};
BoxRuns box_runs(const Side& side, const Box& box);

/// Calls `visit(offset, length)` for each contiguous run that `side` lists for `peer`, in order.
/// `first` is the number of rows listed for lower peers.
template <class Visit>
void for_each_run(const Side& side, int peer, std::int64_t first, Visit visit) {
  const auto p = static_cast<std::size_t>(peer);
  if (side.kind == Side::Kind::rows) {
    const MPI_Count* index = side.indices.data() + first;
    for (std::int64_t i = 0; i < side.counts[p]; ++i) visit(index[i] * side.row, side.row);
    return;
  }
  if (side.boxes[p].elements() == 0) return;
  const BoxRuns runs = box_runs(side, side.boxes[p]);
  for (std::int64_t i = 0; i < runs.outer; ++i) {
    const std::int64_t offset = runs.offset + i * runs.outer_stride;
    for (std::int64_t j = 0; j < runs.inner; ++j) visit(offset + j * runs.inner_stride, runs.run);
  }
}

/// Calls `visit(peer, offset, length)` for all runs of all peers, in order.
template <class Visit>
void for_each_run(const Side& side, Visit visit) {
  std::int64_t first = 0;
  for (int peer = 0; peer < side.peers(); ++peer) {
    for_each_run(side, peer, first,
                 [&](std::int64_t offset, std::int64_t length) { visit(peer, offset, length); });
    if (side.kind == Side::Kind::rows) first += side.counts[static_cast<std::size_t>(peer)];
  }
}

/// One exchange of this rank. Collective calls on `comm` may be needed to make and to use it.
struct Exchange {
  Comm owned;                     ///< a sub-communicator, where the exchange has one of its own
  MPI_Comm comm = MPI_COMM_NULL;  ///< the communicator of the exchange
  Side send;
  Side recv;
};

Layout make_layout(const Side& side);

/// Arguments of MPI_Alltoallw for one side; all displacements are 0.
struct WArguments {
  std::vector<Type> owned;
  std::vector<MPI_Datatype> types;
  std::vector<int> counts;
  std::vector<int> displs;
};
WArguments make_datatypes(const Side& side);

/// Arguments of MPI_Alltoallv in bytes for one side's data laid end to end.
struct VArguments {
  std::vector<int> counts;
  std::vector<int> displs;
};
VArguments make_contiguous(const Side& side);

/// Arguments of MPI_Alltoallv in bytes on the side's own buffer, where each peer has one run at most.
std::optional<VArguments> make_in_place(const Side& side);

}  // namespace mpix::bench
