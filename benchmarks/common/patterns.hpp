// SPDX-License-Identifier: BSD-3-Clause
/// The cases that a run goes through and the exchange of each, by pattern.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "benchmarks/common/exchange.hpp"
#include "benchmarks/common/options.hpp"

namespace mpix::bench {

/// One line of the table.
struct Case {
  std::int64_t size = 0;  ///< bytes a peer, of the average peer where they differ
  std::int64_t row = 0;   ///< bytes of a row; fft: 0
  Grid grid{0, 0, 0};     ///< fft
  Transpose transpose{false, 0, 0};
};

/// What tells a case apart in the table's second column: the row, or the grid and transpose.
std::string label(const Case& what);

/// All cases that the options ask for with `ranks` ranks.
std::vector<Case> list_cases(const Options& options, int ranks);

/// Collective over `comm`.
Exchange make_exchange(const Options& options, const Case& what, MPI_Comm comm);

/// The process grid of the pencils, P * Q = ranks. Throws where the options ask for another product.
struct Procs {
  int x, y;
};
Procs process_grid(const Options& options, int ranks);

// One function a family of patterns.
Exchange make_rows_exchange(const Options& options, const Case& what, MPI_Comm comm);
Exchange make_fft_exchange(const Options& options, const Case& what, MPI_Comm comm);
Exchange make_moe_exchange(const Options& options, const Case& what, MPI_Comm comm);
std::vector<Case> list_fft_cases(const Options& options, int ranks);

}  // namespace mpix::bench
