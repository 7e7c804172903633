// SPDX-License-Identifier: BSD-3-Clause
/// Mixture-of-experts dispatch by MPIX_Alltoallv_layout beside its baselines.
#include <cmath>
#include <cstdio>

#include "benchmarks/common/report.hpp"
#include "benchmarks/common/timing.hpp"
#include "benchmarks/moe/forwarding.hpp"
#include "benchmarks/moe/verify.hpp"

namespace {

using namespace mpix::bench;

constexpr const char* kTitle = "MPIX Alltoallv_layout MoE Dispatch Latency Test";
constexpr double kMicro = 1e6;
constexpr int kTrafficWidth = 10;
constexpr int kRowWidth = 10;

std::string ratio_name(MoeBaseline baseline) {
  return std::string(name(baseline)) + "/layout";
}

double ratio(double bytes, double others) {
  return others > 0 ? bytes / others : 1;
}

/// Traffic and row of a line, and what they amount to.
struct MoeCase {
  Traffic traffic;
  std::int64_t row;
  Volume volume;

  double bytes(std::int64_t rows) const { return static_cast<double>(rows * row); }
  /// Seconds that a node's link needs at least.
  double bound(const MoeOptions& options) const { return bytes(volume.heaviest) / options.link_rate; }
};

Methods make_moe_methods(const MoeOptions& options, const DispatchCase& what) {
  Methods methods;
  methods.push_back(options.common.api == Api::plan ? make_plan(what.exchange, what.buffers)
                                                    : make_oneshot(what.exchange, what.buffers));
  for (const MoeBaseline baseline : options.baselines) {
    switch (baseline) {
      case MoeBaseline::packed:
        methods.push_back(make_packed(what.exchange, what.buffers));
        break;
      case MoeBaseline::datatypes:
        methods.push_back(make_datatypes_method(what.exchange, what.buffers));
        break;
      case MoeBaseline::two_stage:
        methods.push_back(make_two_stage(what));
        break;
      case MoeBaseline::chunked:
        methods.push_back(make_chunked(what, options.chunks));
        break;
      case MoeBaseline::direct:
        methods.push_back(make_direct(what.exchange, what.buffers));
        break;
    }
  }
  return methods;
}

/// The lines of the table. Members that measure are collective over the communicator.
class MoeTable {
 public:
  MoeTable(const MoeOptions& options, const Nodes& nodes, MPI_Comm comm)
      : options_(options),
        common_(options.common),
        nodes_(nodes),
        comm_(comm),
        prints_(comm_rank(comm) == 0),
        ranks_(comm_size(comm)),
        log_sums_(options.baselines.size(), 0.0) {}

  void begin() const {
    if (!prints_) return;
    print_head(common_, kTitle, ranks_);
    std::printf("# %d nodes; %lld tokens a rank, top-%lld of %lld experts\n", nodes_.count(),
                static_cast<long long>(common_.tokens), static_cast<long long>(common_.topk),
                static_cast<long long>(common_.experts));
    std::printf("# Medians of the longest time of any rank; X/layout: how many times longer X takes\n");
    if (options_.link_rate > 0)
      std::printf("# Bound: the heaviest node's unique bytes over %g bytes/s\n", options_.link_rate);
    std::printf("%-*s%-*s", kTrafficWidth, "# Traffic", kRowWidth, " Row");
    print_cell("layout(us)");
    if (common_.full) {
      for (const char* head : {"Min(us)", "Max(us)", "Iterations", "Setup(us)"}) print_cell(head);
    }
    for (const MoeBaseline baseline : options_.baselines) print_cell(std::string(name(baseline)) + "(us)");
    for (const MoeBaseline baseline : options_.baselines) print_cell(ratio_name(baseline));
    if (options_.link_rate > 0) {
      print_cell("Bound(us)");
      print_cell("Bound/layout");
    }
    if (common_.validate) print_cell("Validation");
    end_line();
  }

  void measure(const MoeCase& what, const Methods& methods) {
    timings_ = time_blocking(methods, {common_.warmups, common_.iterations, 1}, comm_);
    setup_ = largest(methods[0]->setup_seconds(), comm_);
    case_ = what;
    ++lines_;
    for (std::size_t b = 0; b < log_sums_.size(); ++b) log_sums_[b] += std::log(times(b));
  }

  /// The line of the case that was measured last.
  void print(Validation validation) {
    if (!prints_) return;
    print_volume();
    std::printf("%-*s %-*lld", kTrafficWidth, name(case_.traffic), kRowWidth - 1,
                static_cast<long long>(case_.row));
    print_cell(timings_[0].median * kMicro);
    if (common_.full) {
      print_cell(timings_[0].fastest * kMicro);
      print_cell(timings_[0].slowest * kMicro);
      print_cell(std::to_string(common_.iterations));
      print_cell(setup_ * kMicro);
    }
    for (std::size_t b = 0; b < log_sums_.size(); ++b) print_cell(timings_[b + 1].median * kMicro);
    for (std::size_t b = 0; b < log_sums_.size(); ++b) print_cell(times(b));
    if (options_.link_rate > 0) {
      print_cell(case_.bound(options_) * kMicro);
      print_cell(case_.bound(options_) / timings_[0].median);
    }
    print_validation(validation);
    end_line();
    cases_.append(case_json(validation));
  }

  void end() const {
    if (!prints_) return;
    Json means;
    for (std::size_t b = 0; b < log_sums_.size() && lines_ > 0; ++b) {
      const double mean = std::exp(log_sums_[b] / lines_);
      std::printf("# Geometric mean, %s: %.3f\n", ratio_name(options_.baselines[b]).c_str(), mean);
      means.add(ratio_name(options_.baselines[b]), mean);
    }
    if (common_.json.empty()) return;
    Json run = describe_run(common_, kTitle, ranks_);
    run.add("nodes", static_cast<long long>(nodes_.count()))
        .add("tokens", static_cast<long long>(common_.tokens));
    run.add("experts", static_cast<long long>(common_.experts))
        .add("topk", static_cast<long long>(common_.topk));
    if (options_.link_rate > 0) run.add("link_rate", options_.link_rate);
    write_file(common_.json, run.add("cases", cases_).add("geometric_mean", means));
  }

 private:
  double times(std::size_t baseline) const { return timings_[baseline + 1].median / timings_[0].median; }

  void print_volume() const {
    const Volume& v = case_.volume;
    std::printf(
        "# %s, %lld: pairs %.0f bytes, %.0f of them between nodes; unique (row, node) between nodes %.0f",
        name(case_.traffic), static_cast<long long>(case_.row), case_.bytes(v.pairs),
        case_.bytes(v.pairs_between), case_.bytes(v.unique_between));
    if (v.unique_between > 0) {
      std::printf(": %.2f and %.2f times fewer; heaviest node %.0f",
                  ratio(case_.bytes(v.pairs), case_.bytes(v.unique_between)),
                  ratio(case_.bytes(v.pairs_between), case_.bytes(v.unique_between)),
                  case_.bytes(v.heaviest));
    }
    std::printf("\n");
  }

  Json timing_json(const Timing& timing) const {
    Json json;
    json.add("median_us", timing.median * kMicro);
    json.add("min_us", timing.fastest * kMicro).add("max_us", timing.slowest * kMicro);
    if (options_.link_rate > 0) json.add("of_bound", case_.bound(options_) / timing.median);
    return json;
  }

  Json volume_json() const {
    const Volume& v = case_.volume;
    Json json;
    json.add("pairs", case_.bytes(v.pairs)).add("pairs_between_nodes", case_.bytes(v.pairs_between));
    json.add("unique_between_nodes", case_.bytes(v.unique_between));
    return json.add("heaviest_node", case_.bytes(v.heaviest));
  }

  Json case_json(Validation validation) const {
    Json methods;
    Json ratios;
    methods.add("layout", timing_json(timings_[0]));
    for (std::size_t b = 0; b < log_sums_.size(); ++b) {
      methods.add(name(options_.baselines[b]), timing_json(timings_[b + 1]));
      ratios.add(ratio_name(options_.baselines[b]), times(b));
    }
    Json json = describe_case({case_.row, case_.row, {}, {}}, validation);
    json.add("traffic", name(case_.traffic)).add("row", static_cast<long long>(case_.row));
    json.add("bytes", volume_json()).add("iterations", static_cast<long long>(common_.iterations));
    if (options_.link_rate > 0) json.add("bound_us", case_.bound(options_) * kMicro);
    return json.add("setup_us", setup_ * kMicro).add("methods", methods).add("ratios", ratios);
  }

  const MoeOptions& options_;
  const Options& common_;
  const Nodes& nodes_;
  const MPI_Comm comm_;
  const bool prints_;
  const int ranks_;
  MoeCase case_{};
  std::vector<Timing> timings_;
  std::vector<double> log_sums_;  ///< [baselines] of the ratios of all lines
  double setup_ = 0;              ///< seconds for the library's layouts and plan
  int lines_ = 0;
  Json cases_{Json::Kind::array};
};

/// Gives the number of wrong exchanges.
int run_case(const MoeOptions& options, const MoeCase& what, const Routing& routing, const Nodes& nodes,
             MPI_Comm comm, MoeTable& table) {
  const Exchange exchange = make_dispatch(routing, what.row, comm);
  if (!fits(options.common, std::string(name(what.traffic)) + ", rows of " + std::to_string(what.row),
            exchange, comm)) {
    return 0;
  }
  const Buffers buffers = make_buffers(options.common, exchange);
  const DispatchCase made_from{routing, nodes, what.row, exchange, buffers};
  const Methods methods = make_moe_methods(options, made_from);
  if (!options.common.validate) {
    table.measure(what, methods);
    table.print(Validation::none);
    return 0;
  }
  const RoutedValidator validator(routing, what.row, exchange, buffers);
  const std::string label = std::string(name(what.traffic)) + ", rows of " + std::to_string(what.row);
  int errors = validate(methods, validator, label, comm, 0);
  table.measure(what, methods);
  errors += validate(methods, validator, label, comm, 1000);
  table.print(errors == 0 ? Validation::passed : Validation::failed);
  return errors;
}

int run_all(const MoeOptions& options, const std::vector<Routing>& routings, const Nodes& nodes,
            MPI_Comm comm) {
  MoeTable table(options, nodes, comm);
  int errors = 0;
  table.begin();
  for (std::size_t t = 0; t < routings.size(); ++t) {
    const Volume volume = volume_of(routings[t], nodes);
    for (const std::int64_t row : options.common.rows)
      errors += run_case(options, {options.traffics[t], row, volume}, routings[t], nodes, comm, table);
  }
  table.end();
  return errors == 0 ? 0 : kFailed;
}

int parse_and_run(int argc, char* argv[]) {
  const MPI_Comm comm = MPI_COMM_WORLD;
  const bool prints = comm_rank(comm) == 0;
  MoeOptions options;
  Nodes nodes;
  std::vector<Routing> routings;
  try {
    options = parse_moe_options(argc, argv);
    if (options.common.help || options.common.version) {
      if (prints && options.common.help) std::fputs(moe_help_text().c_str(), stdout);
      if (prints && options.common.version) print_versions();
      return 0;
    }
    nodes = discover_nodes(options.nodes_of_ranks, comm);
    for (const Traffic traffic : options.traffics)
      routings.push_back(make_routing(options.common, traffic, nodes));
  } catch (const Error& error) {
    if (prints) std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return kUsage;
  }
  start_gpu(options.common, comm);
  return run_all(options, routings, nodes, comm);
}

}  // namespace

int main(int argc, char* argv[]) {
  return inside_mpi(argc, argv, [&] { return parse_and_run(argc, argv); });
}
