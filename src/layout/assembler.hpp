// SPDX-License-Identifier: BSD-3-Clause
/// Puts the peers' shapes together to a layout.
#pragma once

#include <memory>
#include <vector>

#include "layout/layout.hpp"
#include "layout/shape.hpp"

namespace mpix::layout {

class Assembler {
 public:
  /// `peers`: how many will be added at most.
  explicit Assembler(std::size_t peers) { parts_.reserve(peers); }

  /// Peers ascend; an empty shape adds nothing.
  void add(int peer, const Shape& shape);
  /// Takes the shapes' arrays, which are no longer to be used through any shape.
  LayoutRef finish(int npeers);

 private:
  // What cannot be pointed at before all peers are there; `part` counts in parts_.
  struct PendingDims {
    std::size_t part, first;
  };
  struct PendingList {
    std::size_t part;
    std::shared_ptr<RunArrays> arrays;
    std::int64_t first_offset, first_length;
  };
  std::size_t store(const std::vector<kernels::Dim>& dims);

  std::vector<PeerBlocks> parts_;
  std::vector<PendingDims> pending_dims_;
  std::vector<PendingList> pending_lists_;
  std::vector<kernels::Dim> dims_;
  std::size_t last_dims_ = 0;  // where the dims stored last begin
};

}  // namespace mpix::layout
