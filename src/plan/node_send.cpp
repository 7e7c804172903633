// SPDX-License-Identifier: BSD-3-Clause
#include "plan/node_send.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>

#include "base/status.hpp"

namespace mpix::plan {

using kernels::Blocks;
using kernels::Form;

namespace {

constexpr std::uint32_t kNone = ~std::uint32_t{0};
/// Bytes that another entry of a list of ranges costs where it is sent along, with its deliveries.
constexpr std::int64_t kEntryCost = 32;
/// Cutting overlapping runs may not make more pieces than this, so that planning stays linear in the runs.
constexpr std::int64_t kPiecesPerRun = 8, kMorePieces = 4096;

bool is_empty(const NodePart& part) noexcept {
  return part.blocks == nullptr || part.blocks->bytes == 0;
}

/// Calls `visit(offset, length)` for each run of strided `blocks` in listing order.
template <typename Visit>
void visit_strided(const Blocks& blocks, Visit&& visit) {
  std::array<std::int64_t, kernels::kMaxDims> index{};
  std::int64_t offset = blocks.offset;
  for (std::int64_t i = 0; i < blocks.nruns; ++i) {
    visit(offset, blocks.run);
    for (int d = blocks.ndims - 1; d >= 0; --d) {
      const kernels::Dim& dim = blocks.dims[d];
      if (++index[static_cast<std::size_t>(d)] < dim.count) {
        offset += dim.stride;
        break;
      }
      index[static_cast<std::size_t>(d)] = 0;
      offset -= (dim.count - 1) * dim.stride;
    }
  }
}

template <typename Visit>
void visit_runs(const Blocks& blocks, Visit&& visit) {
  switch (blocks.form) {
    case Form::strided:
      visit_strided(blocks, visit);
      break;
    case Form::indexed:
      for (std::int64_t i = 0; i < blocks.nruns; ++i) visit(blocks.offset + blocks.offsets[i], blocks.run);
      break;
    case Form::segments:
      for (std::int64_t i = 0; i < blocks.nruns; ++i)
        visit(blocks.offset + blocks.offsets[i], blocks.lengths[i]);
      break;
  }
}

std::size_t hash(std::int64_t offset, std::int64_t length) noexcept {
  std::uint64_t h = static_cast<std::uint64_t>(offset) * 0x9e3779b97f4a7c15u;
  h ^= static_cast<std::uint64_t>(length) * 0xc2b2ae3d27d4eb4fu;
  h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93u;
  return h ^ (h >> 32);
}

}  // namespace

Blocks NodeSend::blocks() const noexcept {
  Blocks blocks;
  blocks.form = run > 0 ? Form::indexed : Form::segments;
  blocks.bytes = unique_bytes;
  blocks.run = run;
  blocks.nruns = static_cast<std::int64_t>(offsets.size());
  blocks.offsets = offsets.data();
  blocks.lengths = run > 0 ? nullptr : lengths.data();
  return blocks;
}

void NodeSend::find_common() noexcept {
  std::int64_t bits = 0;
  run = lengths.empty() ? 0 : lengths.front();
  for (const std::int64_t length : lengths) {
    bits |= length;
    if (length != run) run = 0;
  }
  for (const Delivery& delivery : deliveries) bits |= delivery.offset;
  grain = std::max(bits & -bits, std::int64_t{1});
}

std::int64_t NodeSend::memory() const noexcept {
  return static_cast<std::int64_t>(
      sizeof(NodeSend) + (offsets.capacity() + lengths.capacity() + first.capacity()) * sizeof(std::int64_t) +
      deliveries.capacity() * sizeof(Delivery));
}

std::int64_t NodeSendScratch::memory() const noexcept {
  return static_cast<std::int64_t>(
      slots_.capacity() * sizeof(slots_[0]) +
      (offsets_.capacity() + lengths_.capacity() + bounds_.capacity()) * sizeof(std::int64_t) +
      (uses_.capacity() + pieces_.capacity()) * sizeof(Use) + cuts_.capacity() * sizeof(Cut));
}

bool may_repeat(std::span<const NodePart> parts) noexcept {
  std::int64_t strided = 0, all = 0, filled = 0;
  bool repeats = false;
  for (const NodePart& part : parts) {
    if (is_empty(part)) continue;
    const Blocks& blocks = *part.blocks;
    if (blocks.nruns > kMaxRuns - all) return false;
    ++filled;
    all += blocks.nruns;
    if (blocks.form != Form::strided) {
      repeats = true;
      continue;
    }
    strided += blocks.nruns;
    // Of strided nests only those in which a step is shorter than the run are taken to meet themselves.
    for (int d = 0; d < blocks.ndims; ++d) repeats |= std::abs(blocks.dims[d].stride) < blocks.run;
  }
  return strided <= kMaxStridedRuns && (repeats || filled > 1);
}

double sampled_repetition(const Blocks& blocks) {
  constexpr std::int64_t kSample = 2048;  // runs, about
  const std::uint64_t rarity = std::bit_floor(static_cast<std::uint64_t>(blocks.nruns / kSample) + 1);
  std::vector<std::pair<std::int64_t, std::int64_t>> sample;
  sample.reserve(2 * kSample);
  visit_runs(blocks, [&](std::int64_t offset, std::int64_t length) {
    // The upper bits: the lower ones depend on fewer of the offset's.
    if ((hash(offset, length) >> 40 & (rarity - 1)) == 0) sample.emplace_back(offset, length);
  });
  if (sample.empty()) return 1;
  std::sort(sample.begin(), sample.end());
  const auto end = std::unique(sample.begin(), sample.end());
  return static_cast<double>(sample.size()) / static_cast<double>(end - sample.begin());
}

/// Makes one NodeSend.
class NodeSendBuilder {
 public:
  explicit NodeSendBuilder(NodeSendScratch& scratch) : s_(scratch) {}

  NodeSend make(std::span<const NodePart> parts) {
    start(parts);
    for (const NodePart& part : parts)
      if (!is_empty(part)) list(part);
    if (!on_one_grid() && sort_bounds()) {
      measure_cuts();
      if (cutting_pays()) cut();
    }
    return finish();
  }

 private:
  using Use = NodeSendScratch::Use;
  using Cut = NodeSendScratch::Cut;

  void start(std::span<const NodePart> parts);
  void list(const NodePart& part);
  std::uint32_t range_of(std::int64_t offset, std::int64_t length);
  bool on_one_grid() const noexcept;
  bool sort_bounds();
  void measure_cuts();
  bool cutting_pays() const noexcept;
  void cut();
  NodeSend finish();

  NodeSendScratch& s_;
  std::size_t mask_ = 0;
  std::int64_t total_bytes_ = 0, unique_bytes_ = 0;
  std::int64_t covered_bytes_ = 0, npieces_ = 0;  // after cutting
};

/// Clears as much of the table as the runs of these parts need, and no more.
void NodeSendBuilder::start(std::span<const NodePart> parts) {
  std::int64_t runs = 0;
  for (const NodePart& part : parts) {
    if (is_empty(part)) continue;
    if (part.blocks->nruns > kMaxRuns - runs) throw Error(Code::internal, "too many runs for one node");
    runs += part.blocks->nruns;
  }
  const std::size_t nslots = std::bit_ceil(2 * static_cast<std::size_t>(runs) + 2);
  if (s_.slots_.size() < nslots) s_.slots_.resize(nslots);
  std::fill_n(s_.slots_.begin(), nslots, kNone);
  mask_ = nslots - 1;
  s_.offsets_.clear();
  s_.lengths_.clear();
  s_.uses_.clear();
  s_.uses_.reserve(static_cast<std::size_t>(runs));
}

std::uint32_t NodeSendBuilder::range_of(std::int64_t offset, std::int64_t length) {
  for (std::size_t at = hash(offset, length);; ++at) {
    std::uint32_t& slot = s_.slots_[at & mask_];
    if (slot == kNone) {
      slot = static_cast<std::uint32_t>(s_.offsets_.size());
      s_.offsets_.push_back(offset);
      s_.lengths_.push_back(length);
      unique_bytes_ += length;
      return slot;
    }
    if (s_.offsets_[slot] == offset && s_.lengths_[slot] == length) return slot;
  }
}

void NodeSendBuilder::list(const NodePart& part) {
  std::int64_t stream = 0;
  visit_runs(*part.blocks, [&](std::int64_t offset, std::int64_t length) {
    s_.uses_.push_back({range_of(offset, length), part.local, stream});
    stream += length;
  });
  total_bytes_ += stream;
}

/// Whether the ranges are rows of one table: different ones cannot overlap then.
bool NodeSendBuilder::on_one_grid() const noexcept {
  if (s_.offsets_.empty()) return true;
  const std::int64_t row = s_.lengths_[0];
  for (std::size_t i = 1; i < s_.offsets_.size(); ++i)
    if (s_.lengths_[i] != row || (s_.offsets_[i] - s_.offsets_[0]) % row != 0) return false;
  return true;
}

/// All places at which ranges begin or end, ascending. Returns whether any two ranges overlap.
bool NodeSendBuilder::sort_bounds() {
  const std::size_t n = s_.offsets_.size();
  s_.bounds_.assign(s_.offsets_.begin(), s_.offsets_.end());
  std::sort(s_.bounds_.begin(), s_.bounds_.end());
  for (std::size_t i = 0; i < n; ++i) s_.bounds_.push_back(s_.offsets_[i] + s_.lengths_[i]);
  const auto starts_end = s_.bounds_.begin() + static_cast<std::ptrdiff_t>(n);
  std::sort(starts_end, s_.bounds_.end());
  // Without overlaps, the i-th range to begin is the i-th to end, before the next one begins.
  bool overlap = false;
  for (std::size_t i = 1; i < n; ++i) overlap |= s_.bounds_[i] < s_.bounds_[n + i - 1];
  if (!overlap) return false;
  std::inplace_merge(s_.bounds_.begin(), starts_end, s_.bounds_.end());
  s_.bounds_.erase(std::unique(s_.bounds_.begin(), s_.bounds_.end()), s_.bounds_.end());
  return true;
}

/// Where each range would be cut, how many pieces all runs would have, and the bytes of the pieces listed
/// once.
void NodeSendBuilder::measure_cuts() {
  const auto place = [&](std::int64_t value) {
    const auto found = std::lower_bound(s_.bounds_.begin(), s_.bounds_.end(), value);
    return static_cast<std::uint32_t>(found - s_.bounds_.begin());
  };
  s_.cuts_.resize(s_.offsets_.size());
  for (std::size_t i = 0; i < s_.offsets_.size(); ++i)
    s_.cuts_[i] = {place(s_.offsets_[i]), place(s_.offsets_[i] + s_.lengths_[i])};
  npieces_ = 0;
  for (const Use& use : s_.uses_) npieces_ += s_.cuts_[use.range].last - s_.cuts_[use.range].first;
  // How many ranges cover the piece after each bound, by where they begin and end.
  std::vector<std::int64_t> depth(s_.bounds_.size(), 0);
  for (const Cut& range : s_.cuts_) {
    ++depth[range.first];
    --depth[range.last];
  }
  covered_bytes_ = 0;
  std::int64_t covering = 0;
  for (std::size_t i = 0; i + 1 < s_.bounds_.size(); ++i) {
    covering += depth[i];
    if (covering > 0) covered_bytes_ += s_.bounds_[i + 1] - s_.bounds_[i];
  }
}

bool NodeSendBuilder::cutting_pays() const noexcept {
  const auto runs = static_cast<std::int64_t>(s_.uses_.size());
  return npieces_ <= kPiecesPerRun * runs + kMorePieces &&
         unique_bytes_ - covered_bytes_ > (npieces_ - runs) * kEntryCost;
}

/// Replaces the ranges by pieces of which no two overlap.
void NodeSendBuilder::cut() {
  if (s_.slots_.size() < s_.bounds_.size()) s_.slots_.resize(s_.bounds_.size());
  std::fill_n(s_.slots_.begin(), s_.bounds_.size(), kNone);  // now: the number of the piece after each bound
  s_.pieces_.clear();
  s_.pieces_.reserve(static_cast<std::size_t>(npieces_));
  s_.offsets_.clear();
  s_.lengths_.clear();
  for (const Use& use : s_.uses_) {
    const Cut range = s_.cuts_[use.range];
    for (std::uint32_t b = range.first; b < range.last; ++b) {
      if (s_.slots_[b] == kNone) {
        s_.slots_[b] = static_cast<std::uint32_t>(s_.offsets_.size());
        s_.offsets_.push_back(s_.bounds_[b]);
        s_.lengths_.push_back(s_.bounds_[b + 1] - s_.bounds_[b]);
      }
      s_.pieces_.push_back({s_.slots_[b], use.local, use.offset + s_.bounds_[b] - s_.bounds_[range.first]});
    }
  }
  s_.uses_.swap(s_.pieces_);
  unique_bytes_ = covered_bytes_;
}

/// Sorts the uses by range, keeping their order: a counting sort.
NodeSend NodeSendBuilder::finish() {
  NodeSend send;
  send.unique_bytes = unique_bytes_;
  send.total_bytes = total_bytes_;
  send.offsets.assign(s_.offsets_.begin(), s_.offsets_.end());
  send.lengths.assign(s_.lengths_.begin(), s_.lengths_.end());
  const std::size_t n = s_.offsets_.size();
  send.first.assign(n + 1, 0);
  for (const Use& use : s_.uses_) ++send.first[use.range];
  std::int64_t end = 0;
  for (std::size_t i = 0; i <= n; ++i) send.first[i] = end += send.first[i];
  send.deliveries.resize(s_.uses_.size());
  for (std::size_t i = s_.uses_.size(); i-- > 0;) {
    const Use& use = s_.uses_[i];
    send.deliveries[static_cast<std::size_t>(--send.first[use.range])] = {use.local, use.offset};
  }
  send.find_common();
  return send;
}

NodeSend make_node_send(std::span<const NodePart> parts, NodeSendScratch& scratch) {
  return NodeSendBuilder(scratch).make(parts);
}

NodeSend make_node_send(std::span<const NodePart> parts) {
  NodeSendScratch scratch;
  return make_node_send(parts, scratch);
}

}  // namespace mpix::plan
