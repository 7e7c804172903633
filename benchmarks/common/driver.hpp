// SPDX-License-Identifier: BSD-3-Clause
/// What both benchmark programs do around their measurements.
#pragma once

#include <memory>

#include "benchmarks/common/methods.hpp"
#include "benchmarks/common/patterns.hpp"

namespace mpix::bench {

enum class Validation { none, passed, failed };

/// A program's table. All members are collective over the communicator that it was made with.
class Table {
 public:
  Table() = default;
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;
  virtual ~Table() = default;

  virtual void begin() = 0;
  virtual void measure(const Case& what, const Methods& methods) = 0;
  /// The line or lines of the case that was measured last.
  virtual void print(Validation validation) = 0;
  virtual void end() = 0;
};

using MakeTable = std::unique_ptr<Table> (*)(const Options& options, MPI_Comm comm);

/// The whole program: gives its exit status, 1 where validation failed, 2 on a wrong command line.
int drive(int argc, char* argv[], Program program, MakeTable make_table);

}  // namespace mpix::bench
