// SPDX-License-Identifier: BSD-3-Clause
#include "benchmarks/common/timing.hpp"

#include <algorithm>

namespace mpix::bench {
namespace {

constexpr int kSmallSamples = 50;

/// The samples' longest times of any rank, on every rank.
std::vector<double> longest(const std::vector<double>& mine, MPI_Comm comm) {
  std::vector<double> all(mine.size());
  check(MPI_Allreduce(mine.data(), all.data(), to_int(static_cast<long long>(mine.size()), "samples"),
                      MPI_DOUBLE, MPI_MAX, comm),
        "MPI_Allreduce");
  return all;
}

double over_ranks(double mine, MPI_Op op, MPI_Comm comm) {
  double all = 0;
  check(MPI_Allreduce(&mine, &all, 1, MPI_DOUBLE, op, comm), "MPI_Allreduce");
  return all;
}

/// Calls `sample(method index)` for all samples and methods in turns; who is first changes.
template <class Sample>
void take_turns(std::size_t methods, const Schedule& schedule, MPI_Comm comm, Sample sample) {
  for (std::size_t s = 0; s < static_cast<std::size_t>(schedule.samples); ++s) {
    for (std::size_t m = 0; m < methods; ++m) {
      check(MPI_Barrier(comm), "MPI_Barrier");
      sample((s + m) % methods);
    }
  }
}

void start_and_complete(Method& method) {
  MPI_Request request = method.start();
  check(MPI_Wait(&request, MPI_STATUS_IGNORE), "MPI_Wait");
  method.finish();
}

/// A computation of any wanted length that neither calls MPI nor reads a clock.
class Computation {
 public:
  Computation() {
    double best = 1;
    for (int trial = 0; trial < 5; ++trial) {
      const double start = MPI_Wtime();
      work(kCalibration);
      best = std::min(best, MPI_Wtime() - start);
    }
    per_second_ = kCalibration / best;
  }
  void run(double seconds) { work(seconds * per_second_); }

 private:
  static constexpr double kCalibration = 1e6;

  void work(double steps) {
    double x = value_;
    for (auto left = static_cast<long>(steps); left > 0; --left) x = x * 0.999 + 0.001;
    value_ = x;
  }
  volatile double value_ = 2;
  double per_second_ = 1;
};

struct Parts {
  double overall = 0, compute = 0, init = 0, test = 0, wait = 0;
};

/// Computes for `seconds` in test_calls + 1 portions with an MPI_Test between each two.
void compute_and_test(Computation& computation, double seconds, int test_calls, MPI_Request& request,
                      Parts& parts) {
  for (int portion = 0; portion <= test_calls; ++portion) {
    const double start = MPI_Wtime();
    computation.run(seconds / (test_calls + 1));
    const double computed = MPI_Wtime();
    parts.compute += computed - start;
    if (portion == test_calls) break;
    int done = 0;
    check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    parts.test += MPI_Wtime() - computed;
  }
}

Parts overlapped(Method& method, Computation& computation, double seconds, int test_calls) {
  Parts parts;
  const double start = MPI_Wtime();
  MPI_Request request = method.start();
  parts.init = MPI_Wtime() - start;
  compute_and_test(computation, seconds, test_calls, request, parts);
  const double waiting = MPI_Wtime();
  check(MPI_Wait(&request, MPI_STATUS_IGNORE), "MPI_Wait");
  method.finish();
  const double end = MPI_Wtime();
  parts.wait = end - waiting;
  parts.overall = end - start;
  return parts;
}

/// Samples of the parts of one method.
struct PartSamples {
  std::vector<double> overall, compute, init, test, wait;

  void add(const Parts& sum, int group) {
    overall.push_back(sum.overall / group);
    compute.push_back(sum.compute / group);
    init.push_back(sum.init / group);
    test.push_back(sum.test / group);
    wait.push_back(sum.wait / group);
  }
};

std::vector<double> time_pure(const Methods& methods, const Schedule& schedule, MPI_Comm comm) {
  std::vector<std::vector<double>> samples(methods.size());
  take_turns(methods.size(), schedule, comm, [&](std::size_t m) {
    const double start = MPI_Wtime();
    for (int i = 0; i < schedule.group; ++i) start_and_complete(*methods[m]);
    samples[m].push_back((MPI_Wtime() - start) / schedule.group);
  });
  std::vector<double> medians;
  for (const auto& series : samples) medians.push_back(median(longest(series, comm)));
  return medians;
}

}  // namespace

double largest(double value, MPI_Comm comm) {
  return over_ranks(value, MPI_MAX, comm);
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const std::size_t half = values.size() / 2;
  std::sort(values.begin(), values.end());
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

Schedule make_schedule(const Options& options, std::int64_t bytes_per_peer) {
  const int iterations = options.iterations_for(bytes_per_peer);
  const int group = bytes_per_peer > kLargeMessage ? 1 : std::max(1, iterations / kSmallSamples);
  return {options.warmups_for(bytes_per_peer), std::max(1, iterations / group), group};
}

double Overlap::percent() const {
  if (pure <= 0) return 0;
  return std::clamp(100 * (1 - (overall - compute) / pure), 0.0, 100.0);
}

std::vector<Timing> time_blocking(const Methods& methods, const Schedule& schedule, MPI_Comm comm) {
  for (const auto& method : methods) {
    for (int i = 0; i < schedule.warmups; ++i) method->run();
  }
  std::vector<std::vector<double>> samples(methods.size());
  take_turns(methods.size(), schedule, comm, [&](std::size_t m) {
    const double start = MPI_Wtime();
    for (int i = 0; i < schedule.group; ++i) methods[m]->run();
    samples[m].push_back((MPI_Wtime() - start) / schedule.group);
  });
  std::vector<Timing> timings;
  for (const auto& series : samples) {
    const double mine = median(series);
    timings.push_back(
        {median(longest(series, comm)), over_ranks(mine, MPI_MIN, comm), over_ranks(mine, MPI_MAX, comm)});
  }
  return timings;
}

std::vector<Overlap> time_overlap(const Methods& methods, const Schedule& schedule, int test_calls,
                                  MPI_Comm comm) {
  for (const auto& method : methods) {
    for (int i = 0; i < schedule.warmups; ++i) start_and_complete(*method);
  }
  Computation computation;
  const std::vector<double> pure = time_pure(methods, schedule, comm);
  std::vector<PartSamples> samples(methods.size());
  take_turns(methods.size(), schedule, comm, [&](std::size_t m) {
    Parts sum;
    for (int i = 0; i < schedule.group; ++i) {
      const Parts parts = overlapped(*methods[m], computation, pure[m], test_calls);
      sum.overall += parts.overall, sum.compute += parts.compute, sum.init += parts.init;
      sum.test += parts.test, sum.wait += parts.wait;
    }
    samples[m].add(sum, schedule.group);
  });
  std::vector<Overlap> result;
  for (std::size_t m = 0; m < methods.size(); ++m) {
    const PartSamples& s = samples[m];
    const auto of = [&](const std::vector<double>& series) { return median(longest(series, comm)); };
    result.push_back({pure[m], of(s.overall), of(s.compute), of(s.init), of(s.test), of(s.wait)});
  }
  return result;
}

}  // namespace mpix::bench
