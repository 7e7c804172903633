// SPDX-License-Identifier: BSD-3-Clause
/// Times methods side by side: they take turns, so that what else the machine does touches all alike.
#pragma once

#include <mpi.h>

#include <vector>

#include "benchmarks/common/methods.hpp"

namespace mpix::bench {

/// A sample is `group` exchanges behind one barrier; its value is the time of one of them.
struct Schedule {
  int warmups;
  int samples;
  int group;
};
Schedule make_schedule(const Options& options, std::int64_t bytes_per_peer);

/// Of one method, in seconds.
struct Timing {
  double median;   ///< over the samples, of the longest time of any rank
  double fastest;  ///< lowest of the ranks' own medians
  double slowest;  ///< highest of the ranks' own medians
};

/// Of one method whose exchanges ran beside a computation, in seconds; medians like Timing::median.
struct Overlap {
  double pure, overall, compute, init, test, wait;
  double percent() const;
};

double median(std::vector<double> values);

/// The largest `value` of any rank, on every rank. Collective.
double largest(double value, MPI_Comm comm);

// Collective over `comm`; entry i of the result belongs to methods[i].
std::vector<Timing> time_blocking(const Methods& methods, const Schedule& schedule, MPI_Comm comm);
std::vector<Overlap> time_overlap(const Methods& methods, const Schedule& schedule, int test_calls,
                                  MPI_Comm comm);

}  // namespace mpix::bench
