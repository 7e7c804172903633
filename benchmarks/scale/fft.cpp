// SPDX-License-Identifier: BSD-3-Clause
/// The transposition of an FFT's pencils from x to y, within rows of a grid of ranks: every rank sends an
/// equal part of its box to each rank of its row. Nothing goes twice.
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

#include "benchmarks/scale/traffics.hpp"

namespace mpix::bench {
namespace {

constexpr std::int64_t kElement = 16;  // a double-precision complex number
constexpr std::int64_t kLines = 8;     // of the box, in y and in z
constexpr std::int64_t kPerPeer = 8;   // elements of each line that go to each peer

class Fft : public Traffic {
 public:
  explicit Fft(const ScaleCase& what) : what_(what) {
    // As square as a grid of so many ranks can be.
    columns_ = static_cast<std::int64_t>(std::sqrt(static_cast<double>(what.ranks)));
    while (what.ranks % columns_ != 0) ++columns_;
    nodes_.resize(static_cast<std::size_t>(what.nodes()));
    std::iota(nodes_.begin(), nodes_.end(), 0);
  }

  LayoutRef sent_by(std::int64_t rank) const override {
    const std::int64_t line = columns_ * kPerPeer * kElement;
    Layout::Storage storage;
    const std::array<kernels::Dim, 2> box{{{kLines, kLines * line}, {kLines, line}}};
    auto dims = std::make_unique<kernels::Dim[]>(box.size());
    std::copy(box.begin(), box.end(), dims.get());
    std::vector<PeerBlocks> parts;
    for (std::int64_t column = 0; column < columns_; ++column) {
      kernels::Blocks blocks;
      blocks.ndims = static_cast<std::int32_t>(box.size());
      blocks.offset = column * kPerPeer * kElement;
      blocks.run = kPerPeer * kElement;
      blocks.nruns = kLines * kLines;
      blocks.bytes = blocks.nruns * blocks.run;
      blocks.dims = dims.get();
      parts.push_back({static_cast<int>(rank / columns_ * columns_ + column), blocks});
    }
    storage.dims.push_back(std::move(dims));
    storage.bytes = static_cast<std::int64_t>(sizeof(box));
    return std::make_shared<const Layout>(static_cast<int>(what_.ranks), std::move(parts),
                                          std::move(storage));
  }

  void visit_flows(const std::function<void(const Flow&)>& visit) const override {
    FlowTable table(what_, nodes_);
    constexpr std::int64_t kBytes = kLines * kLines * kPerPeer * kElement;
    for (std::int64_t source = 0; source < what_.ranks; ++source) {
      const std::int64_t first = source / columns_ * columns_;
      for (std::int64_t peer = first; peer < first + columns_; ++peer)
        table.add(source, peer, kBytes, kBytes);
      table.flush(visit);
    }
  }

 private:
  ScaleCase what_;
  std::int64_t columns_ = 1;  // ranks of a row
};

}  // namespace

std::unique_ptr<Traffic> make_fft(const ScaleCase& what) {
  return std::make_unique<Fft>(what);
}

}  // namespace mpix::bench
