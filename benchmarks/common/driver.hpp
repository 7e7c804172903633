// SPDX-License-Identifier: BSD-3-Clause
/// What the benchmark programs do around their measurements.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "benchmarks/common/methods.hpp"
#include "benchmarks/common/patterns.hpp"

namespace mpix::bench {

enum class Validation { none, passed, failed };

// Exit statuses.
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;

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

/// Whether the buffers of a case keep within the limit on every rank; rank 0 prints it where not. Collective.
bool fits(const Options& options, const std::string& name, const Exchange& exchange, MPI_Comm comm);

/// Chooses a GPU and prints which, where the options put buffers there. Collective.
void start_gpu(const Options& options, MPI_Comm comm);

/// Runs `body` between MPI_Init and MPI_Finalize and gives what it gives. MPI's errors return, and what is
/// thrown is printed and aborts the job.
int inside_mpi(int argc, char* argv[], const std::function<int()>& body);

void print_versions();

/// The whole program: gives its exit status, 1 where validation failed, 2 on a wrong command line.
int drive(int argc, char* argv[], Program program, MakeTable make_table);

}  // namespace mpix::bench
