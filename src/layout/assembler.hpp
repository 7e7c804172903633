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
  /// Peers ascend; an empty shape adds nothing.
  void add(int peer, const Shape& shape);
  /// Takes the shapes' arrays, which are no longer to be used through any shape.
  LayoutRef finish(int npeers);

 private:
  /// What cannot be pointed at before all peers are there.
  struct Pending {
    std::size_t first_dim = 0;
    std::shared_ptr<RunArrays> arrays;  ///< null for strided
    std::int64_t first_offset = 0, first_length = 0;
  };
  std::size_t store(const std::vector<kernels::Dim>& dims);

  std::vector<PeerBlocks> parts_;
  std::vector<Pending> pending_;
  std::vector<kernels::Dim> dims_;
  std::size_t last_dims_ = 0;  // where the dims stored last begin
};

}  // namespace mpix::layout
