// SPDX-License-Identifier: BSD-3-Clause
#include "benchmarks/common/exchange.hpp"

#include <numeric>

namespace mpix::bench {
namespace {

Type subarray_type(const Side& side, const Box& box) {
  int sizes[3];
  int subsizes[3];
  int starts[3];
  for (int d = 0; d < 3; ++d) {
    sizes[d] = to_int(side.array[d], "an extent");
    subsizes[d] = to_int(box.extents[d], "an extent");
    starts[d] = to_int(box.starts[d], "a start");
  }
  Type type;
  check(MPI_Type_create_subarray(3, sizes, subsizes, starts, MPI_ORDER_C, MPI_C_DOUBLE_COMPLEX, type.out()),
        "MPI_Type_create_subarray");
  check(MPI_Type_commit(type.out()), "MPI_Type_commit");
  return type;
}

Type row_type(std::int64_t row) {
  Type type;
  check(MPI_Type_contiguous(to_int(row, "a row"), MPI_BYTE, type.out()), "MPI_Type_contiguous");
  check(MPI_Type_commit(type.out()), "MPI_Type_commit");
  return type;
}

Type rows_type(const MPI_Count* indices, std::int64_t count, MPI_Datatype row) {
  const int rows = to_int(count, "a number of rows");
  std::vector<int> displs(static_cast<std::size_t>(rows));
  for (std::size_t i = 0; i < displs.size(); ++i) displs[i] = to_int(indices[i], "an index");
  Type type;
  check(MPI_Type_create_indexed_block(rows, 1, displs.data(), row, type.out()),
        "MPI_Type_create_indexed_block");
  check(MPI_Type_commit(type.out()), "MPI_Type_commit");
  return type;
}

Layout make_rows_layout(const Side& side) {
  const std::vector<MPI_Count> counts(side.counts.begin(), side.counts.end());
  const Type row = row_type(side.row);
  Layout layout;
  check(MPIX_Layout_create_indexed_block(side.peers(), counts.data(), side.indices.data(), row.get(),
                                         layout.out()),
        "MPIX_Layout_create_indexed_block");
  return layout;
}

Layout make_boxes_layout(const Side& side) {
  const WArguments w = make_datatypes(side);
  const std::vector<MPI_Count> counts(w.counts.begin(), w.counts.end());
  const std::vector<MPI_Aint> displs(w.displs.begin(), w.displs.end());
  Layout layout;
  check(MPIX_Layout_create_w(side.peers(), counts.data(), displs.data(), w.types.data(), layout.out()),
        "MPIX_Layout_create_w");
  return layout;
}

}  // namespace

std::int64_t bytes_for(const Side& side, int peer) {
  const auto p = static_cast<std::size_t>(peer);
  return side.kind == Side::Kind::rows ? side.counts[p] * side.row : side.boxes[p].elements() * kElementBytes;
}

std::vector<std::int64_t> bytes_by_peer(const Side& side) {
  std::vector<std::int64_t> bytes(static_cast<std::size_t>(side.peers()));
  for (int peer = 0; peer < side.peers(); ++peer)
    bytes[static_cast<std::size_t>(peer)] = bytes_for(side, peer);
  return bytes;
}

std::int64_t total_bytes(const Side& side) {
  const auto bytes = bytes_by_peer(side);
  return std::accumulate(bytes.begin(), bytes.end(), std::int64_t{0});
}

BoxRuns box_runs(const Side& side, const Box& box) {
  const std::int64_t line = side.array[2] * kElementBytes;
  const std::int64_t plane = side.array[1] * line;
  BoxRuns runs{box.starts[0] * plane + box.starts[1] * line + box.starts[2] * kElementBytes,
               box.extents[2] * kElementBytes,
               box.extents[0],
               plane,
               box.extents[1],
               line};
  if (runs.run == line) {
    runs.run *= runs.inner;
    runs.inner = 1;
    if (runs.run == plane) {
      runs.run *= runs.outer;
      runs.outer = 1;
    }
  }
  return runs;
}

Layout make_layout(const Side& side) {
  return side.kind == Side::Kind::rows ? make_rows_layout(side) : make_boxes_layout(side);
}

WArguments make_datatypes(const Side& side) {
  const auto peers = static_cast<std::size_t>(side.peers());
  WArguments w{
      {}, std::vector<MPI_Datatype>(peers, MPI_BYTE), std::vector<int>(peers, 0), std::vector<int>(peers, 0)};
  const MPI_Count* indices = side.indices.data();
  Type row;
  if (side.kind == Side::Kind::rows) row = row_type(side.row);
  for (std::size_t p = 0; p < peers; ++p) {
    if (bytes_for(side, static_cast<int>(p)) == 0) continue;
    if (side.kind == Side::Kind::rows) {
      w.owned.push_back(rows_type(indices, side.counts[p], row.get()));
      indices += side.counts[p];
    } else {
      w.owned.push_back(subarray_type(side, side.boxes[p]));
    }
    w.types[p] = w.owned.back().get();
    w.counts[p] = 1;
  }
  return w;
}

VArguments make_contiguous(const Side& side) {
  VArguments v;
  std::int64_t at = 0;
  for (const std::int64_t bytes : bytes_by_peer(side)) {
    v.counts.push_back(to_int(bytes, "bytes for a peer"));
    v.displs.push_back(to_int(at, "a displacement in bytes"));
    at += bytes;
  }
  return v;
}

std::optional<VArguments> make_in_place(const Side& side) {
  const auto peers = static_cast<std::size_t>(side.peers());
  VArguments v{std::vector<int>(peers, 0), std::vector<int>(peers, 0)};
  bool single = true;
  for_each_run(side, [&](int peer, std::int64_t offset, std::int64_t length) {
    const auto p = static_cast<std::size_t>(peer);
    single = single && v.counts[p] == 0;
    if (!single) return;
    v.counts[p] = to_int(length, "bytes for a peer");
    v.displs[p] = to_int(offset, "a displacement in bytes");
  });
  if (!single) return std::nullopt;
  return v;
}

}  // namespace mpix::bench
