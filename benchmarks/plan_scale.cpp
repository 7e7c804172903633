// SPDX-License-Identifier: BSD-3-Clause
/// Plans one rank's part of exchanges of very many ranks, without them: what the direct and the node-aware
/// route cost in time, memory, messages and connections, and how they load the NICs.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "benchmarks/scale/routes.hpp"
#include "benchmarks/scale/traffic.hpp"

namespace {

using mpix::bench::Cost;
using mpix::bench::Limits;
using mpix::bench::ScaleCase;

constexpr const char* kUsage =
    R"(usage: plan_scale [options]
Plans what one rank sends in exchanges of very many ranks, in one process without an MPI launcher.

  --ranks LIST      ranks of the exchange (default: 1024,4096,16384,65536)
  --per-node LIST   ranks on a node, consecutive ones; divisors of the ranks (default: 8,64)
  --traffic LIST    moe          each token goes to top-k experts among those of all ranks
                    moe-limited  the same, the experts of a token on --token-nodes nodes
                    fft          a row of ranks transposes pencils; nothing goes twice
                    sparse       peers near and far need top-k times the table's rows together
                    (default: all)
  --tokens N        rows of the sender's table (default: 4096)
  --top-k N         experts of a token (default: 8)
  --token-nodes N   moe-limited: nodes of a token, a divisor of top-k (default: 4)
  --degree N        sparse: peers of a rank (default: 32)
  --row N           bytes of a row (default: 4096)
  --rank N          the rank that is planned for (default: 0)
  --nics N          NICs of a node, shared evenly by its ranks (default: one a rank)
  --chunk N         longest message (default: 524288)
  --least-chunk N   node-aware: shortest message that a flow is cut into (default: 16384)
  --seed N          of the generated traffic (default: 1)
  --csv FILE        also write the figures there
  --help            this text

Columns: microseconds to plan (median), KiB that the plan takes, messages that are sent to other nodes,
endpoints (ranks of other nodes that are sent to), MB on the wire, KB of lists of ranges and
deliveries that go along once a plan, and the bytes that the heaviest NIC receives over the mean of NICs. The last
is simulated for all sources; for MoE at 512 receiving ranks or more, drawn with the same distribution.
)";

struct Options {
  std::vector<std::int64_t> ranks{1024, 4096, 16384, 65536}, per_node{8, 64};
  std::vector<std::string> traffics{"moe", "moe-limited", "fft", "sparse"};
  ScaleCase what{0, 0, 4096, 8, 4096, 4, 32, 1};
  Limits limits{0, 16384, 524288};
  std::int64_t rank = 0;
  std::string csv;
};

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "plan_scale: %s (see --help)\n", why.c_str());
  std::exit(2);
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

std::int64_t number(const std::string& text, std::int64_t least = 1) {
  char* end = nullptr;
  const long long value = std::strtoll(text.c_str(), &end, 0);
  if (text.empty() || *end != '\0' || value < least || value > (1ll << 40))
    fail("not a number that fits: " + text);
  return value;
}

std::vector<std::int64_t> numbers(const std::string& text) {
  std::vector<std::int64_t> values;
  for (const std::string& part : split(text)) values.push_back(number(part));
  return values;
}

void set(Options& o, const std::string& name, const std::string& value) {
  if (name == "--ranks") {
    o.ranks = numbers(value);
  } else if (name == "--per-node") {
    o.per_node = numbers(value);
  } else if (name == "--traffic") {
    o.traffics = split(value);
  } else if (name == "--tokens") {
    o.what.tokens = number(value);
  } else if (name == "--top-k") {
    o.what.topk = number(value);
  } else if (name == "--token-nodes") {
    o.what.token_nodes = number(value);
  } else if (name == "--degree") {
    o.what.degree = number(value);
  } else if (name == "--row") {
    o.what.row = number(value);
  } else if (name == "--rank") {
    o.rank = number(value, 0);
  } else if (name == "--nics") {
    o.limits.nics = number(value);
  } else if (name == "--chunk") {
    o.limits.most_chunk = number(value);
  } else if (name == "--least-chunk") {
    o.limits.least_chunk = number(value);
  } else if (name == "--seed") {
    o.what.seed = static_cast<std::uint64_t>(number(value, 0));
  } else if (name == "--csv") {
    o.csv = value;
  } else {
    fail("unknown option " + name);
  }
}

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--help") {
      std::fputs(kUsage, stdout);
      std::exit(0);
    }
    if (i + 1 >= argc) fail("missing value of " + name);
    set(o, name, argv[++i]);
  }
  if (o.what.topk % o.what.token_nodes != 0) fail("--token-nodes has to divide --top-k");
  if (o.limits.least_chunk > o.limits.most_chunk) fail("--least-chunk exceeds --chunk");
  return o;
}

/// Experts have to exist in sufficient number, or drawing different ones would not end.
void check(const Options& o, const ScaleCase& c) {
  if (c.ranks > 1 << 24) fail("more than 2^24 ranks");
  if (c.ranks % c.per_node != 0) fail("--per-node has to divide --ranks");
  if (o.rank >= c.ranks) fail("--rank has to be below --ranks");
  if (o.limits.nics > c.per_node) fail("--nics exceeds --per-node");
  if (c.topk > c.ranks) fail("--top-k exceeds --ranks");
  if (c.token_nodes > c.nodes()) fail("--token-nodes exceeds the number of nodes");
  if (c.topk / c.token_nodes > c.per_node) fail("a node has too few ranks for the experts of a token");
}

void print(std::FILE* csv, const ScaleCase& c, const std::string& traffic, const char* route,
           const Cost& cost, double heaviest) {
  std::printf("%-12s %7lld %4lld %-7s %9.0f %9.0f %9lld %9lld %9.2f %9.1f %9.3f\n", traffic.c_str(),
              static_cast<long long>(c.ranks), static_cast<long long>(c.per_node), route, cost.seconds * 1e6,
              static_cast<double>(cost.memory) / 1024, static_cast<long long>(cost.messages),
              static_cast<long long>(cost.endpoints), static_cast<double>(cost.wire_bytes) * 1e-6,
              static_cast<double>(cost.list_bytes) * 1e-3, heaviest);
  std::fflush(stdout);
  if (csv == nullptr) return;
  std::fprintf(csv, "%s,%lld,%lld,%s,%.9f,%lld,%lld,%lld,%lld,%lld,%.4f\n", traffic.c_str(),
               static_cast<long long>(c.ranks), static_cast<long long>(c.per_node), route, cost.seconds,
               static_cast<long long>(cost.memory), static_cast<long long>(cost.messages),
               static_cast<long long>(cost.endpoints), static_cast<long long>(cost.wire_bytes),
               static_cast<long long>(cost.list_bytes), heaviest);
}

void plan_case(const Options& o, const ScaleCase& c, const std::string& name, std::FILE* csv) {
  const auto traffic = mpix::bench::make_traffic(name, c);
  if (traffic == nullptr) fail("unknown traffic " + name);
  Limits limits = o.limits;
  if (limits.nics == 0) limits.nics = c.per_node;
  std::vector<int> numbers(static_cast<std::size_t>(c.ranks));
  for (std::size_t r = 0; r < numbers.size(); ++r)
    numbers[r] = static_cast<int>(r) / static_cast<int>(c.per_node);
  const mpix::plan::NodeMap map(numbers);
  const mpix::LayoutRef layout = traffic->sent_by(o.rank);
  const int rank = static_cast<int>(o.rank);
  const auto heaviest = mpix::bench::heaviest_nic(*traffic, c, limits);
  print(csv, c, name, "direct", mpix::bench::direct_cost(rank, *layout, map, limits), heaviest.direct);
  print(csv, c, name, "node", mpix::bench::node_cost(rank, *layout, map, limits), heaviest.node);
}

struct Close {
  void operator()(std::FILE* file) const {
    if (std::fclose(file) != 0) fail("writing the file of figures failed");
  }
};

void run(const Options& o) {
  std::unique_ptr<std::FILE, Close> csv;
  if (!o.csv.empty()) {
    csv.reset(std::fopen(o.csv.c_str(), "w"));
    if (csv == nullptr) fail("cannot write " + o.csv);
    std::fputs(
        "traffic,ranks,per_node,route,seconds,memory,messages,endpoints,wire_bytes,list_bytes,heaviest\n",
        csv.get());
  }
  std::printf("%-12s %7s %4s %-7s %9s %9s %9s %9s %9s %9s %9s\n", "# traffic", "ranks", "node", "route", "us",
              "KiB", "messages", "endpoints", "wire MB", "list KB", "heaviest");
  for (const std::string& name : o.traffics) {
    for (const std::int64_t per_node : o.per_node) {
      for (const std::int64_t ranks : o.ranks) {
        ScaleCase c = o.what;
        c.ranks = ranks;
        c.per_node = per_node;
        check(o, c);
        plan_case(o, c, name, csv.get());
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(parse(argc, argv));
  } catch (const std::exception& error) {
    fail(error.what());
  }
  return 0;
}
