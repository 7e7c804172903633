// SPDX-License-Identifier: BSD-3-Clause
/// Latency of MPIX_Alltoallv_layout beside its baselines.
#include <cmath>
#include <cstdio>

#include "benchmarks/common/report.hpp"
#include "benchmarks/common/timing.hpp"

namespace {

using namespace mpix::bench;

constexpr const char* kTitle = "MPIX Alltoallv_layout Latency Test";
constexpr double kMicro = 1e6;

class LatencyTable : public Table {
 public:
  LatencyTable(const Options& options, MPI_Comm comm)
      : options_(options),
        comm_(comm),
        prints_(comm_rank(comm) == 0),
        ranks_(comm_size(comm)),
        width_(label_width(options, ranks_)),
        log_sums_(options.baselines.size(), 0.0) {}

  void begin() override {
    if (!prints_) return;
    print_head(options_, kTitle, ranks_);
    std::printf(
        "# Medians of the longest time of any rank; X/layout: how many times longer X takes; of copy: share "
        "of\n"
        "# the streaming copy's rate\n");
    print_case_heads(options_, width_);
    print_cell("layout(us)");
    if (options_.full) {
      for (const char* head : {"Min(us)", "Max(us)", "Iterations", "GB/s a rank", "Setup(us)"})
        print_cell(head);
    }
    for (const Baseline baseline : options_.baselines) print_cell(std::string(name(baseline)) + "(us)");
    for (const Baseline baseline : options_.baselines) print_cell(ratio_name(baseline));
    if (options_.validate) print_cell("Validation");
    end_line();
  }

  void measure(const Case& what, const Methods& methods) override {
    case_ = what;
    schedule_ = make_schedule(options_, what.size);
    timings_ = time_blocking(methods, schedule_, comm_);
    setup_ = largest(methods[0]->setup_seconds(), comm_);
    ++lines_;
    for (std::size_t b = 0; b < log_sums_.size(); ++b) log_sums_[b] += std::log(ratio(b));
  }

  void print(Validation validation) override {
    if (!prints_) return;
    print_case(case_, width_);
    print_cell(timings_[0].median * kMicro);
    if (options_.full) print_details();
    for (std::size_t b = 0; b < log_sums_.size(); ++b) print_cell(timings_[b + 1].median * kMicro);
    for (std::size_t b = 0; b < log_sums_.size(); ++b) print_cell(ratio(b));
    print_validation(validation);
    end_line();
    cases_.append(case_json(validation));
  }

  void end() override {
    if (!prints_) return;
    Json means;
    for (std::size_t b = 0; b < log_sums_.size() && lines_ > 0; ++b) {
      const double mean = std::exp(log_sums_[b] / lines_);
      std::printf("# Geometric mean, %s: %.3f\n", ratio_name(options_.baselines[b]).c_str(), mean);
      means.add(ratio_name(options_.baselines[b]), mean);
    }
    if (options_.json.empty()) return;
    write_file(options_.json,
               describe_run(options_, kTitle, ranks_).add("cases", cases_).add("geometric_mean", means));
  }

 private:
  static std::string ratio_name(Baseline baseline) {
    return baseline == Baseline::copy ? "of copy" : std::string(name(baseline)) + "/layout";
  }

  double ratio(std::size_t baseline) const { return timings_[baseline + 1].median / timings_[0].median; }

  void print_details() const {
    print_cell(timings_[0].fastest * kMicro);
    print_cell(timings_[0].slowest * kMicro);
    print_cell(std::to_string(schedule_.samples * schedule_.group));
    print_cell(static_cast<double>(case_.size) * ranks_ / timings_[0].median * 1e-9);
    print_cell(setup_ * kMicro);
  }

  static Json timing_json(const Timing& timing) {
    Json json;
    json.add("median_us", timing.median * kMicro);
    return json.add("min_us", timing.fastest * kMicro).add("max_us", timing.slowest * kMicro);
  }

  Json case_json(Validation validation) const {
    Json methods;
    Json ratios;
    methods.add("layout", timing_json(timings_[0]));
    for (std::size_t b = 0; b < log_sums_.size(); ++b) {
      methods.add(name(options_.baselines[b]), timing_json(timings_[b + 1]));
      ratios.add(ratio_name(options_.baselines[b]), ratio(b));
    }
    Json json = describe_case(case_, validation);
    json.add("iterations", static_cast<long long>(schedule_.samples) * schedule_.group);
    json.add("setup_us", setup_ * kMicro);
    return json.add("methods", methods).add("ratios", ratios);
  }

  const Options options_;
  const MPI_Comm comm_;
  const bool prints_;
  const int ranks_;
  const int width_;
  Case case_;
  Schedule schedule_{0, 0, 1};
  std::vector<Timing> timings_;
  std::vector<double> log_sums_;  ///< [baselines] of the ratios of all lines
  double setup_ = 0;              ///< seconds for the library's layouts and plan
  int lines_ = 0;
  Json cases_{Json::Kind::array};
};

std::unique_ptr<Table> make_table(const Options& options, MPI_Comm comm) {
  return std::make_unique<LatencyTable>(options, comm);
}

}  // namespace

int main(int argc, char* argv[]) {
  return drive(argc, argv, Program::blocking, make_table);
}
