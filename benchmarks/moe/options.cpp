// SPDX-License-Identifier: BSD-3-Clause
#include "benchmarks/moe/options.hpp"

#include <getopt.h>

#include <array>
#include <climits>
#include <string_view>

#include "benchmarks/common/check.hpp"
#include "benchmarks/common/parse.hpp"

namespace mpix::bench {
namespace {

constexpr std::array kTraffics{"uniform", "skewed", "one-node", "bimodal"};
constexpr std::array kMoeBaselines{"packed", "datatypes", "two-stage", "chunked", "direct"};
constexpr std::array kApis{"oneshot", "plan"};
constexpr std::array kMemories{"malloc", "alloc"};

constexpr const char* kHelp = R"(Usage: mpirun [...] osu_moe_dispatch [options]

Latency of mixture-of-experts dispatch by MPIX_Alltoallv_layout beside what it replaces, in one run: the
iterations of the library and of the baselines take turns. Every token's row goes from the table of tokens to
all of its experts; each (token, expert) pair has a place of its own at the rank that has the expert, ordered by
expert, then by sender, then by token. All ranks know the routing beforehand. A figure is the median over the
iterations of the longest time of any rank, each iteration behind a barrier.

Options as in the OSU micro-benchmarks (bytes may end in K, M or G, powers of 1024):
  -i, --iterations N            timed iterations (default 10)
  -x, --warmup N                untimed iterations before them (default 2)
  -f, --full                    more columns; among them Min and Max, the lowest and highest of the ranks' own
                                medians, and Setup, the time to make layouts and, for --api plan, the plan
  -c, --validation              compare every byte of the receive buffer with what the routing says, after an
                                exchange by each method before and one after the timing; the first wrong byte
                                of a rank is printed and the exit status is 1
  -M, --mem-limit BYTES         skip rows for which the buffers of layout and packed take more a rank (default 4G)
  -d, --accelerator cuda        buffers in memory of GPUs, those of a node in turn for its ranks; the baselines are
                                then packed and two-stage, whose gathers and scatters are the library's kernel by
                                itself, and whose MPI calls go through pinned memory where the MPI takes none of a
                                GPU. datatypes and chunked are for host memory only
  -h, --help                    print this text
  -v, --version                 print the versions of the benchmark and of the library

What is exchanged:
  --traffic NAME[,...]          (default uniform)
       uniform                  a token's experts are any
       skewed                   a token's experts are drawn by popularity, which is log-normal
       one-node                 all experts of a token are on one node, any
       bimodal                  every second rank of each node has tokens, the others none
  --tokens N                    tokens of a rank that has any (default 512)
  --experts N                   experts, divided evenly over the ranks (default 256)
  --top-k N                     different experts of a token (default 8)
  --row BYTES[,...]             bytes of a row, one line of the table each (default 4096)
  --skew SIGMA                  skewed: of the log-normal popularity (default 1)
  --seed N                      of the random numbers (default 1)

How:
  --api oneshot|plan            one-shot calls (default) or a plan that is started again and again
  --memory malloc|alloc         page-aligned memory of posix_memalign (default) or MPIX_Layout_mem_alloc; the
                                baselines use the same
  --baseline LIST               any of packed, datatypes, two-stage, chunked, direct, or none (default all of the
                                first four that there are for the memory)
       packed                   gather into a send buffer, MPI_Alltoallv, scatter from a receive buffer
       datatypes                MPI_Alltoallw with committed derived datatypes
       two-stage                one copy of each row for a node that needs it, by MPI_Alltoallv to the rank of the
                                same local number there (modulo the node's ranks); then one copy for a rank that
                                needs it, by MPI_Alltoallv inside the node; gather and scatter around each
       chunked                  the same in chunks, both stages and their gathers and scatters overlapped by
                                nonblocking messages; what stays in a rank is scattered from where it lies
       direct                   a plan of the library that sends to every rank by itself (mpix_layout_route)
  --chunk BYTES[,BYTES]         chunked: bytes of a message, at least a row, between nodes and of the sender's own
                                rows inside a node (default 32K,256K)
  --link-rate RATE              bytes a second, each way, of a node's network interfaces together; may end in K, M
                                or G, powers of 1000. Adds the bound, the larger of what a node has to send and to
                                receive when each row crosses the network once for each node that needs it, over
                                the rate, and the share of it that layout reaches
  --nodes-of-ranks N[,N...]     ranks of each node, consecutive, in place of what MPI says; for tests of traffic and
                                baselines on one machine, the library does not see it
  --json FILE                   also write all figures to FILE
)";

enum LongOption : int {
  opt_traffic = 256,
  opt_tokens,
  opt_experts,
  opt_topk,
  opt_row,
  opt_skew,
  opt_seed,
  opt_api,
  opt_memory,
  opt_baseline,
  opt_chunk,
  opt_link_rate,
  opt_nodes,
  opt_json,
};

constexpr option kLongOptions[] = {
    {"iterations", required_argument, nullptr, 'i'},
    {"warmup", required_argument, nullptr, 'x'},
    {"full", no_argument, nullptr, 'f'},
    {"validation", no_argument, nullptr, 'c'},
    {"mem-limit", required_argument, nullptr, 'M'},
    {"accelerator", required_argument, nullptr, 'd'},
    {"help", no_argument, nullptr, 'h'},
    {"version", no_argument, nullptr, 'v'},
    {"traffic", required_argument, nullptr, opt_traffic},
    {"tokens", required_argument, nullptr, opt_tokens},
    {"experts", required_argument, nullptr, opt_experts},
    {"top-k", required_argument, nullptr, opt_topk},
    {"row", required_argument, nullptr, opt_row},
    {"skew", required_argument, nullptr, opt_skew},
    {"seed", required_argument, nullptr, opt_seed},
    {"api", required_argument, nullptr, opt_api},
    {"memory", required_argument, nullptr, opt_memory},
    {"baseline", required_argument, nullptr, opt_baseline},
    {"chunk", required_argument, nullptr, opt_chunk},
    {"link-rate", required_argument, nullptr, opt_link_rate},
    {"nodes-of-ranks", required_argument, nullptr, opt_nodes},
    {"json", required_argument, nullptr, opt_json},
    {nullptr, 0, nullptr, 0},
};

/// With K, M or G for powers of 1000, as rates are given.
double parse_rate(std::string_view option, std::string_view text) {
  constexpr std::string_view units = "KMG";
  double unit = 1;
  std::string_view digits = text;
  if (!text.empty() && units.find(text.back()) != std::string_view::npos) {
    for (std::size_t i = 0; i <= units.find(text.back()); ++i) unit *= 1000;
    digits.remove_suffix(1);
  }
  return parse_real(option, digits, 1e-6, 1e15) * unit;
}

template <class Enum, std::size_t N>
std::vector<Enum> parse_names(std::string_view option, std::string_view text,
                              const std::array<const char*, N>& names) {
  std::vector<Enum> values;
  for (const auto part : split(text, ',')) values.push_back(parse_name<Enum>(option, part, names));
  return values;
}

void parse_chunks(std::string_view text, Chunks& chunks) {
  const auto sizes = parse_bytes_list("--chunk", text);
  if (sizes.size() > 2) bad_value("--chunk", text, "BYTES[,BYTES]");
  chunks = {sizes.front(), sizes.back()};
}

/// OSU's own options.
bool apply_short(int code, std::string_view text, Options& options) {
  switch (code) {
    case 'i':
      options.iterations = static_cast<int>(parse_number("-i", text, 1, INT_MAX));
      return true;
    case 'x':
      options.warmups = static_cast<int>(parse_number("-x", text, 0, INT_MAX));
      return true;
    case 'd':
      set_accelerator(text, options);
      return true;
    case 'f':
      options.full = true;
      return true;
    case 'c':
      options.validate = true;
      return true;
    case 'M':
      options.memory_limit = parse_bytes("-M", text);
      return true;
    case 'h':
      options.help = true;
      return true;
    case 'v':
      options.version = true;
      return true;
    default:
      return false;
  }
}

/// Those that other programs have too.
bool apply_common(int code, std::string_view text, Options& options) {
  switch (code) {
    case opt_tokens:
      options.tokens = parse_number("--tokens", text, 1, INT_MAX);
      return true;
    case opt_experts:
      options.experts = parse_number("--experts", text, 1, INT_MAX);
      return true;
    case opt_topk:
      options.topk = parse_number("--top-k", text, 1, INT_MAX);
      return true;
    case opt_row:
      options.rows = parse_bytes_list("--row", text);
      return true;
    case opt_skew:
      options.skew = parse_real("--skew", text, 0, 3);
      return true;
    case opt_seed:
      options.seed = static_cast<std::uint64_t>(parse_number("--seed", text, 0));
      return true;
    case opt_api:
      options.api = parse_name<Api>("--api", text, kApis);
      return true;
    case opt_memory:
      options.memory = parse_name<Memory>("--memory", text, kMemories);
      return true;
    case opt_json:
      options.json = text;
      return true;
    default:
      return false;
  }
}

void apply_own(int code, std::string_view text, MoeOptions& options) {
  switch (code) {
    case opt_traffic:
      options.traffics = parse_names<Traffic>("--traffic", text, kTraffics);
      break;
    case opt_baseline:
      options.baselines.clear();
      options.common.baselines_given = true;
      if (text != "none") options.baselines = parse_names<MoeBaseline>("--baseline", text, kMoeBaselines);
      break;
    case opt_chunk:
      parse_chunks(text, options.chunks);
      break;
    case opt_link_rate:
      options.link_rate = parse_rate("--link-rate", text);
      break;
    case opt_nodes:
      options.nodes_of_ranks.clear();
      for (const auto part : split(text, ',')) {
        options.nodes_of_ranks.push_back(
            static_cast<int>(parse_number("--nodes-of-ranks", part, 1, INT_MAX)));
      }
      break;
    default:
      break;
  }
}

MoeOptions default_options() {
  MoeOptions options;
  options.common.pattern = Pattern::moe;
  options.common.tokens = 512;
  options.common.rows = {4096};
  options.common.skew = 1;
  options.common.iterations = 10;
  options.common.warmups = 2;
  options.common.memory_limit = std::int64_t{4} << 30;
  return options;
}

/// Baselines that there are for the memory in question.
void check_baselines(MoeOptions& options) {
  if (!options.common.on_gpu.any()) return;
  if (!options.common.baselines_given) options.baselines = {MoeBaseline::packed, MoeBaseline::two_stage};
  for (const MoeBaseline baseline : options.baselines) {
    if (baseline == MoeBaseline::datatypes || baseline == MoeBaseline::chunked)
      throw Error(std::string("--baseline: ") + name(baseline) +
                  " is for host memory only; with -d cuda name packed, two-stage, direct or none");
  }
}

/// The buffers of common methods are made for these.
void set_common_baselines(MoeOptions& options) {
  options.common.baselines.clear();
  for (const MoeBaseline baseline : options.baselines) {
    if (baseline == MoeBaseline::packed) options.common.baselines.push_back(Baseline::packed);
  }
}

}  // namespace

const char* name(Traffic traffic) {
  return kTraffics[static_cast<std::size_t>(traffic)];
}
const char* name(MoeBaseline baseline) {
  return kMoeBaselines[static_cast<std::size_t>(baseline)];
}

MoeOptions parse_moe_options(int argc, char* const argv[]) {
  MoeOptions options = default_options();
  opterr = 0;
  optind = 1;
  for (int code = 0; (code = getopt_long(argc, argv, "+:i:x:M:d:fchv", kLongOptions, nullptr)) != -1;) {
    const std::string_view word = argv[optind - 1];
    if (code == ':') throw Error(std::string(word) + ": a value is expected");
    if (code == '?') throw Error(std::string(word) + ": unknown option; --help lists those that exist");
    const std::string_view text = optarg != nullptr ? optarg : "";
    if (!apply_short(code, text, options.common) && !apply_common(code, text, options.common)) {
      apply_own(code, text, options);
    }
  }
  if (optind < argc) throw Error(std::string(argv[optind]) + ": no arguments besides options are expected");
  if (options.common.topk > options.common.experts) throw Error("--top-k: more than --experts");
  check_baselines(options);
  set_common_baselines(options);
  return options;
}

std::string moe_help_text() {
  return kHelp;
}

}  // namespace mpix::bench
