// SPDX-License-Identifier: BSD-3-Clause
/// The check that no byte occurs twice in a layout.
#include <algorithm>
#include <new>
#include <vector>

#include "base/status.hpp"
#include "base/text.hpp"
#include "layout/bounds.hpp"
#include "layout/layout.hpp"

namespace mpix {

namespace {

using kernels::Blocks;
using kernels::Dim;
using kernels::Form;
using layout::Interval;

struct Run {
  std::int64_t low, high;
  int peer;
};

/// Dimensions of one peer's blocks, widest stride first, strides made positive.
struct Nest {
  std::int64_t low, run;
  std::vector<Dim> dims;
};

std::int64_t span_of(const Nest& nest, std::size_t from) {
  std::int64_t span = nest.run;
  for (std::size_t i = from; i < nest.dims.size(); ++i)
    span += (nest.dims[i].count - 1) * nest.dims[i].stride;
  return span;
}

Nest nest_of(const Blocks& blocks) {
  Nest nest{layout::bounds(blocks).low, blocks.run, {}};
  for (int i = 0; i < blocks.ndims; ++i) {
    const Dim dim = blocks.dims[i];
    nest.dims.push_back({dim.count, dim.stride < 0 ? -dim.stride : dim.stride});
  }
  std::sort(nest.dims.begin(), nest.dims.end(),
            [](const Dim& a, const Dim& b) { return a.stride > b.stride; });
  return nest;
}

/// Whether no two of one peer's runs overlap; false where that is not plain to see.
bool nested_without_overlap(const Nest& nest, std::size_t from) {
  for (std::size_t i = from; i < nest.dims.size(); ++i)
    if (nest.dims[i].stride < span_of(nest, i + 1)) return false;
  return true;
}

bool disjoint(std::vector<Interval> intervals) {
  std::sort(intervals.begin(), intervals.end(),
            [](const Interval& a, const Interval& b) { return a.low < b.low; });
  for (std::size_t i = 1; i < intervals.size(); ++i)
    if (intervals[i].low < intervals[i - 1].high) return false;
  return true;
}

/// Width of what all nests cover together once their `from` outermost dimensions are left out.
std::int64_t joint_span(const std::vector<Nest>& nests, std::size_t from) {
  std::int64_t low = nests[0].low, high = low;
  for (const Nest& nest : nests) {
    low = std::min(low, nest.low);
    high = std::max(high, nest.low + span_of(nest, from));
  }
  return high - low;
}

/// Number of outermost dimensions that all nests share and that keep all of them apart: one step of such a
/// dimension moves past everything inside it, of any peer.
std::size_t shared_dims(const std::vector<Nest>& nests) {
  for (std::size_t i = 0;; ++i) {
    for (const Nest& nest : nests) {
      if (i == nest.dims.size() || nest.dims[i].count != nests[0].dims[i].count ||
          nest.dims[i].stride != nests[0].dims[i].stride)
        return i;
    }
    if (nests[0].dims[i].stride < joint_span(nests, i + 1)) return i;
  }
}

/// Proof in O(peers) for strided blocks: the parts of an array, side by side or interleaved.
bool provably_disjoint(const Layout& layout) {
  std::vector<Nest> nests;
  for (const PeerBlocks& part : layout.parts()) {
    if (part.blocks.form != Form::strided) return false;
    nests.push_back(nest_of(part.blocks));
  }
  if (nests.empty()) return true;
  const std::size_t from = shared_dims(nests);
  std::vector<Interval> inner;
  for (const Nest& nest : nests) {
    if (!nested_without_overlap(nest, from)) return false;
    inner.push_back({nest.low, nest.low + span_of(nest, from)});
  }
  return disjoint(std::move(inner));
}

void expand(const PeerBlocks& part, std::size_t dim, std::int64_t at, std::vector<Run>& runs) {
  const Blocks& blocks = part.blocks;
  if (dim == static_cast<std::size_t>(blocks.ndims)) {
    runs.push_back({at, at + blocks.run, part.peer});
    return;
  }
  for (std::int64_t i = 0; i < blocks.dims[dim].count; ++i)
    expand(part, dim + 1, at + i * blocks.dims[dim].stride, runs);
}

std::vector<Run> all_runs(const Layout& layout) {
  std::vector<Run> runs;
  runs.reserve(static_cast<std::size_t>(layout.runs()));
  for (const PeerBlocks& part : layout.parts()) {
    const Blocks& blocks = part.blocks;
    if (blocks.form == Form::strided) {
      expand(part, 0, blocks.offset, runs);
      continue;
    }
    for (std::int64_t i = 0; i < blocks.nruns; ++i) {
      const std::int64_t low = blocks.offset + blocks.offsets[i];
      runs.push_back({low, low + (blocks.form == Form::indexed ? blocks.run : blocks.lengths[i]), part.peer});
    }
  }
  return runs;
}

std::string describe(const Run& run) {
  return text("bytes ", run.low, " to ", run.high - 1, " of peer ", run.peer);
}

}  // namespace

void check_no_overlap(const Layout& layout) {
  if (provably_disjoint(layout)) return;
  std::vector<Run> runs;
  try {
    runs = all_runs(layout);
  } catch (const std::exception&) {
    throw Error(Code::no_memory,
                text("looking for overlaps among ", layout.runs(), " blocks does not fit memory"));
  }
  std::sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) { return a.low < b.low; });
  for (std::size_t i = 1; i < runs.size(); ++i) {
    if (runs[i].low < runs[i - 1].high)
      throw Error(Code::layout, text("blocks overlap: ", describe(runs[i - 1]), " and ", describe(runs[i])));
  }
}

}  // namespace mpix
