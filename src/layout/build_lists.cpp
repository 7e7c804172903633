// SPDX-License-Identifier: BSD-3-Clause
/// Layouts from lists: equal blocks by index, and segments.
#include <algorithm>
#include <span>

#include "base/status.hpp"
#include "base/text.hpp"
#include "layout/arguments.hpp"
#include "layout/assembler.hpp"
#include "layout/build.hpp"
#include "layout/datatype.hpp"
#include "layout/run_sink.hpp"

namespace mpix {

namespace {

using namespace layout;

/// Blocks from so many bytes on stay listed on the GPU; of shorter ones it pays to join neighbours.
constexpr std::int64_t kShortestOnGpu = 64;

/// Whether all steps between the indices are the same.
bool is_progression(std::span<const MPI_Count> indices) {
  if (indices.size() < 3) return true;
  const std::int64_t step = wrapping_subtract(indices[1], indices[0]);
  for (std::size_t i = 2; i < indices.size(); ++i)
    if (wrapping_subtract(indices[i], indices[i - 1]) != step) return false;
  return true;
}

/// Whether the blocks can do without a list of their own, other than that of `block` itself.
bool stays_symbolic(std::span<const MPI_Count> indices, const Shape& block) {
  return indices.size() == 1 || (block.form == kernels::Form::strided && is_progression(indices));
}

/// The peer's blocks, `indices` not empty. Lists go into `sink`.
Shape blocks_at(std::span<const MPI_Count> indices, const Datatype& block, RunSink& sink) {
  const std::int64_t extent = block.extent();
  if (block.shape.is_run()) {
    sink.assign(indices, extent, block.shape.offset, block.shape.run);
  } else if (stays_symbolic(indices, block.shape)) {
    const std::int64_t step = indices.size() > 1 ? multiply(subtract(indices[1], indices[0]), extent) : 0;
    const Shape first = shifted(block.shape, multiply(indices[0], extent));
    return repeated(first, static_cast<std::int64_t>(indices.size()), step);
  } else {
    for (const MPI_Count index : indices) sink.append(block.shape, multiply(index, extent));
  }
  return sink.take();
}

/// Entries that the lists of all peers take at most.
std::int64_t list_capacity(int npeers, const MPI_Count counts[], const MPI_Count indices[],
                           const Shape& block) {
  std::int64_t entries = 0;
  const MPI_Count* next = indices;
  for (int peer = 0; peer < npeers; next += counts[peer], ++peer) {
    if (counts[peer] == 0) continue;
    if (block.is_run() || !stays_symbolic({next, static_cast<std::size_t>(counts[peer])}, block))
      entries = add(entries, multiply(counts[peer], block.nruns));
  }
  return entries;
}

/// Names the index whose block does not fit 64-bit offsets.
[[noreturn]] void report_indices(int peer, std::span<const MPI_Count> indices, const Datatype& block) {
  for (const MPI_Count index : indices) {
    try {
      static_cast<void>(shifted(block.shape, multiply(index, block.extent())));
    } catch (const Overflow&) {
      throw Error(Code::argument, text("indices of peer ", peer, ": ", index, " times the block's extent of ",
                                       block.extent(), " bytes reaches beyond 64-bit offsets"));
    }
  }
  throw Error(Code::argument, text("indices of peer ", peer, ": the blocks are more than 2^63 bytes apart"));
}

/// One peer's segments, which are not empty. Lists go into `sink`.
Shape segments_at(std::span<const MPI_Count> lengths, std::span<const MPI_Aint> displs, RunSink& sink) {
  const MPI_Count first = lengths[0];
  if (first > 0 &&
      std::all_of(lengths.begin(), lengths.end(), [first](MPI_Count length) { return length == first; })) {
    sink.assign(displs, 1, 0, first);
  } else {
    for (std::size_t i = 0; i < lengths.size(); ++i)
      if (lengths[i] > 0) sink.push(displs[i], lengths[i]);
  }
  return sink.take();
}

void check_lengths(std::span<const MPI_Count> lengths, int peer) {
  MPI_Count least = 0;
  for (const MPI_Count length : lengths) least = std::min(least, length);
  if (least == 0) return;
  const auto at = std::find_if(lengths.begin(), lengths.end(), [](MPI_Count length) { return length < 0; });
  throw Error(Code::count, text("lengths of peer ", peer, ": segment ", at - lengths.begin(), " is ", *at,
                                " bytes, below 0"));
}

/// Names the segment that does not fit 64-bit offsets.
[[noreturn]] void report_segments(int peer, std::span<const MPI_Count> lengths,
                                  std::span<const MPI_Aint> displs) {
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    if (std::int64_t end = 0; lengths[i] > 0 && __builtin_add_overflow(displs[i], lengths[i], &end))
      throw Error(Code::argument, text("displs of peer ", peer, ": segment ", i, " of ", lengths[i],
                                       " bytes at ", displs[i], " reaches beyond 64-bit offsets"));
  }
  throw Error(Code::argument,
              text("the segments of peer ", peer, " are more than 2^63 bytes together or apart"));
}

}  // namespace

LayoutRef build_indexed_block(int npeers, const MPI_Count counts[], const MPI_Count indices[],
                              MPI_Datatype block) {
  check_npeers(npeers);
  check_array(npeers > 0, counts, "counts");
  if (block == MPI_DATATYPE_NULL) report_null_type("block");
  const Totals totals = check_counts(npeers, counts, true);
  check_array(totals.entries > 0, indices, "indices");
  const Datatype decoded = decode(block);
  Assembler layout(totals.peers);
  if (decoded.shape.empty()) return layout.finish(npeers);
  RunSink sink(list_capacity(npeers, counts, indices, decoded.shape));
  MPI_Count first = 0;
  for (int peer = 0; peer < npeers; first += counts[peer], ++peer) {
    if (counts[peer] == 0) continue;
    const std::span mine(indices + first, static_cast<std::size_t>(counts[peer]));
    try {
      layout.add(peer, blocks_at(mine, decoded, sink));
    } catch (const Overflow&) {
      report_indices(peer, mine, decoded);
    }
  }
  sink.finish();
  return layout.finish(npeers);
}

LayoutRef build_indexed_on_gpu(int npeers, const MPI_Count counts[], MPI_Datatype block,
                               const std::function<GpuList(std::int64_t, std::int64_t)>& make_list) {
  check_npeers(npeers);
  check_array(npeers > 0, counts, "counts");
  if (block == MPI_DATATYPE_NULL) report_null_type("block");
  const Totals totals = check_counts(npeers, counts, true);
  const Datatype decoded = decode(block);
  if (totals.entries == 0 || !decoded.shape.is_run() || decoded.shape.run < kShortestOnGpu) return nullptr;
  try {
    std::vector<PeerBlocks> parts;
    for (int peer = 0; peer < npeers; ++peer) {
      if (counts[peer] == 0) continue;
      kernels::Blocks blocks;
      blocks.form = kernels::Form::indexed;
      blocks.bytes = multiply(counts[peer], decoded.shape.run);
      blocks.offset = decoded.shape.offset;
      blocks.run = decoded.shape.run;
      blocks.nruns = counts[peer];
      parts.push_back({peer, blocks});
    }
    GpuList list = make_list(totals.entries, decoded.extent());
    const Shape one = shifted(decoded.shape, multiply(list.least, decoded.extent()));
    const Shape other = shifted(decoded.shape, multiply(list.most, decoded.extent()));
    return std::make_shared<const Layout>(npeers, std::move(parts), std::move(list),
                                          std::min(one.low, other.low), std::max(one.high, other.high));
  } catch (const Overflow&) {
    return nullptr;
  }
}

LayoutRef build_hindexed(int npeers, const MPI_Count counts[], const MPI_Count lengths[],
                         const MPI_Aint displs[]) {
  check_npeers(npeers);
  check_array(npeers > 0, counts, "counts");
  const Totals totals = check_counts(npeers, counts, true);
  check_array(totals.entries > 0, lengths, "lengths");
  check_array(totals.entries > 0, displs, "displs");
  RunSink sink(totals.entries);
  Assembler layout(totals.peers);
  MPI_Count first = 0;
  for (int peer = 0; peer < npeers; first += counts[peer], ++peer) {
    if (counts[peer] == 0) continue;
    const auto count = static_cast<std::size_t>(counts[peer]);
    const std::span my_lengths(lengths + first, count);
    const std::span my_displs(displs + first, count);
    check_lengths(my_lengths, peer);
    try {
      layout.add(peer, segments_at(my_lengths, my_displs, sink));
    } catch (const Overflow&) {
      report_segments(peer, my_lengths, my_displs);
    }
  }
  sink.finish();
  return layout.finish(npeers);
}

}  // namespace mpix
