// SPDX-License-Identifier: BSD-3-Clause
/// Overlap of MPIX_Ialltoallv_layout with computation, beside its baselines.
#include <cstdio>

#include "benchmarks/common/report.hpp"
#include "benchmarks/common/timing.hpp"

namespace {

using namespace mpix::bench;

constexpr const char* kTitle = "MPIX Ialltoallv_layout Latency Test";
constexpr double kMicro = 1e6;

class OverlapTable : public Table {
 public:
  OverlapTable(const Options& options, MPI_Comm comm)
      : options_(options),
        comm_(comm),
        prints_(comm_rank(comm) == 0),
        ranks_(comm_size(comm)),
        width_(label_width(options, ranks_)) {}

  void begin() override {
    if (!prints_) return;
    print_head(options_, kTitle, ranks_);
    std::printf("# Medians of the longest time of any rank\n");
    print_case_heads(options_, width_);
    for (const char* head : {"Method", "Overall(us)", "Compute(us)"}) print_cell(head);
    if (options_.full) {
      for (const char* head : {"Coll. Init(us)", "MPI_Test(us)", "MPI_Wait(us)"}) print_cell(head);
    }
    for (const char* head : {"Pure Comm.(us)", "Overlap(%)"}) print_cell(head);
    if (options_.validate) print_cell("Validation");
    end_line();
  }

  void measure(const Case& what, const Methods& methods) override {
    case_ = what;
    overlaps_ = time_overlap(methods, make_schedule(options_, what.size), options_.test_calls, comm_);
    names_.clear();
    for (const auto& method : methods) names_.emplace_back(method->name());
  }

  void print(Validation validation) override {
    if (!prints_) return;
    Json methods;
    for (std::size_t m = 0; m < overlaps_.size(); ++m) {
      print_line(names_[m], overlaps_[m], validation);
      methods.add(names_[m], overlap_json(overlaps_[m]));
    }
    cases_.append(describe_case(case_, validation).add("methods", methods));
  }

  void end() override {
    if (!prints_ || options_.json.empty()) return;
    write_file(options_.json, describe_run(options_, kTitle, ranks_).add("cases", cases_));
  }

 private:
  void print_line(const std::string& method, const Overlap& overlap, Validation validation) const {
    print_case(case_, width_);
    print_cell(method);
    print_cell(overlap.overall * kMicro);
    print_cell(overlap.compute * kMicro);
    if (options_.full) {
      print_cell(overlap.init * kMicro);
      print_cell(overlap.test * kMicro);
      print_cell(overlap.wait * kMicro);
    }
    print_cell(overlap.pure * kMicro);
    print_cell(overlap.percent());
    print_validation(validation);
    end_line();
  }

  static Json overlap_json(const Overlap& overlap) {
    Json json;
    json.add("overall_us", overlap.overall * kMicro).add("compute_us", overlap.compute * kMicro);
    json.add("init_us", overlap.init * kMicro).add("test_us", overlap.test * kMicro);
    json.add("wait_us", overlap.wait * kMicro).add("pure_us", overlap.pure * kMicro);
    return json.add("overlap_percent", overlap.percent());
  }

  const Options options_;
  const MPI_Comm comm_;
  const bool prints_;
  const int ranks_;
  const int width_;
  Case case_;
  std::vector<Overlap> overlaps_;
  std::vector<std::string> names_;
  Json cases_{Json::Kind::array};
};

std::unique_ptr<Table> make_table(const Options& options, MPI_Comm comm) {
  return std::make_unique<OverlapTable>(options, comm);
}

}  // namespace

int main(int argc, char* argv[]) {
  return drive(argc, argv, Program::nonblocking, make_table);
}
