// SPDX-License-Identifier: BSD-3-Clause
#include "benchmarks/common/options.hpp"

#include <getopt.h>

#include <algorithm>
#include <array>
#include <climits>
#include <string_view>

#include "benchmarks/common/check.hpp"
#include "benchmarks/common/parse.hpp"

namespace mpix::bench {
namespace {

constexpr std::array kPatterns{"uniform", "skewed", "fft", "moe"};
constexpr std::array kBaselines{"packed", "datatypes", "copy", "alltoallv", "ipc", "direct"};
constexpr std::array kApis{"oneshot", "plan"};
constexpr std::array kMemories{"malloc", "alloc", "cuda"};
constexpr std::array kHostMemories{kMemories[0], kMemories[1]};

enum LongOption : int {
  opt_pattern = 256,
  opt_row,
  opt_baseline,
  opt_api,
  opt_memory,
  opt_buffers,
  opt_json,
  opt_seed,
  opt_total,
  opt_grid,
  opt_transpose,
  opt_procs,
  opt_experts,
  opt_topk,
  opt_tokens,
  opt_skew,
};

constexpr option kLongOptions[] = {
    {"message-size", required_argument, nullptr, 'm'},
    {"iterations", required_argument, nullptr, 'i'},
    {"warmup", required_argument, nullptr, 'x'},
    {"full", no_argument, nullptr, 'f'},
    {"validation", no_argument, nullptr, 'c'},
    {"mem-limit", required_argument, nullptr, 'M'},
    {"num-test-calls", required_argument, nullptr, 't'},
    {"accelerator", required_argument, nullptr, 'd'},
    {"help", no_argument, nullptr, 'h'},
    {"version", no_argument, nullptr, 'v'},
    {"pattern", required_argument, nullptr, opt_pattern},
    {"row", required_argument, nullptr, opt_row},
    {"baseline", required_argument, nullptr, opt_baseline},
    {"api", required_argument, nullptr, opt_api},
    {"memory", required_argument, nullptr, opt_memory},
    {"buffers", required_argument, nullptr, opt_buffers},
    {"json", required_argument, nullptr, opt_json},
    {"seed", required_argument, nullptr, opt_seed},
    {"total", required_argument, nullptr, opt_total},
    {"grid", required_argument, nullptr, opt_grid},
    {"transpose", required_argument, nullptr, opt_transpose},
    {"procs", required_argument, nullptr, opt_procs},
    {"experts", required_argument, nullptr, opt_experts},
    {"topk", required_argument, nullptr, opt_topk},
    {"tokens", required_argument, nullptr, opt_tokens},
    {"skew", required_argument, nullptr, opt_skew},
    {nullptr, 0, nullptr, 0},
};

void parse_sizes(std::string_view text, Options& options) {
  const auto parts = split(text, ':');
  if (parts.size() > 2) bad_value("-m", text, "MIN:MAX");
  options.max_size = parse_bytes("-m", parts.back());
  options.min_size = parts.size() == 2 ? parse_bytes("-m", parts.front()) : 1;
  if (options.min_size > options.max_size) bad_value("-m", text, "MIN not above MAX");
}

Grid parse_grid(std::string_view text) {
  const auto parts = split(text, 'x');
  if (parts.size() != 3) bad_value("--grid", text, "NXxNYxNZ");
  return {parse_number("--grid", parts[0], 1, INT_MAX), parse_number("--grid", parts[1], 1, INT_MAX),
          parse_number("--grid", parts[2], 1, INT_MAX)};
}

Transpose parse_transpose(std::string_view text) {
  for (const Transpose candidate : {Transpose{false, 0, 1}, Transpose{false, 1, 0}, Transpose{true, 0, 1},
                                    Transpose{true, 1, 0}, Transpose{true, 1, 2}, Transpose{true, 2, 1}}) {
    if (name(candidate) == text) return candidate;
  }
  bad_value("--transpose", text, "one of slab-xy, slab-yx, pencil-xy, pencil-yx, pencil-yz, pencil-zy");
}

void parse_procs(std::string_view text, Options& options) {
  const auto parts = split(text, 'x');
  if (parts.size() != 2) bad_value("--procs", text, "PxQ");
  options.procs_x = static_cast<int>(parse_number("--procs", parts[0], 1, INT_MAX));
  options.procs_y = static_cast<int>(parse_number("--procs", parts[1], 1, INT_MAX));
}

/// D or H for the send buffer, then for the receive buffer.
void parse_buffers(std::string_view text, Options& options) {
  const auto on_gpu = [&](char letter) {
    if (letter != 'D' && letter != 'H') bad_value("--buffers", text, "DD, DH, HD or HH");
    return letter == 'D';
  };
  if (text.size() != 2) bad_value("--buffers", text, "DD, DH, HD or HH");
  options.on_gpu = {on_gpu(text[0]), on_gpu(text[1])};
  options.buffers_given = true;
}

/// Why there is no such baseline for these buffers; empty where there is one.
std::string why_not(Baseline baseline, const OnGpu& on_gpu) {
  if (baseline == Baseline::packed || baseline == Baseline::direct) return "";
  const bool on_host = baseline == Baseline::datatypes || baseline == Baseline::alltoallv;
  if (on_host) return on_gpu.any() ? " is for host memory only" : "";
  if (baseline == Baseline::ipc && !on_gpu.both()) return " needs -d cuda, with both buffers there";
  const bool mixed = on_gpu.any() && !on_gpu.both();
  return mixed ? " needs both buffers in the same kind of memory" : "";
}

/// Takes the baselines that there are for the buffers' memory, or refuses those that the user named.
void check_baselines(Options& options, Program program) {
  const OnGpu& where = options.on_gpu;
  if (options.baselines_given) {
    for (const Baseline baseline : options.baselines) {
      const std::string reason = why_not(baseline, where);
      if (reason.empty()) continue;
      const char* const others = where.both()  ? "; name packed, ipc, copy, direct or none"
                                 : where.any() ? "; name packed, direct or none"
                                               : "";
      throw Error(std::string("--baseline: ") + name(baseline) + reason + others);
    }
  } else if (where.both()) {
    options.baselines = {Baseline::packed, Baseline::ipc, Baseline::copy};
  } else if (where.any()) {
    options.baselines = {Baseline::packed};
    for (const Baseline baseline : {Baseline::datatypes, Baseline::ipc, Baseline::copy}) {
      if (baseline == Baseline::copy && program == Program::nonblocking) continue;
      options.left_out += options.left_out.empty() ? "Left out: " : "; ";
      options.left_out += name(baseline) + why_not(baseline, where);
    }
  }
}

void parse_baselines(std::string_view text, Options& options) {
  options.baselines_given = true;
  options.baselines.clear();
  if (text == "none") return;
  for (const auto part : split(text, ',')) {
    options.baselines.push_back(parse_name<Baseline>("--baseline", part, kBaselines));
  }
}

/// OSU's own options.
bool apply_short(int code, std::string_view text, Options& options) {
  switch (code) {
    case 'm':
      parse_sizes(text, options);
      return true;
    case 'i':
      options.iterations = static_cast<int>(parse_number("-i", text, 1, INT_MAX));
      return true;
    case 'x':
      options.warmups = static_cast<int>(parse_number("-x", text, 0, INT_MAX));
      return true;
    case 't':
      options.test_calls = static_cast<int>(parse_number("-t", text, 0, INT_MAX));
      return true;
    case 'M':
      options.memory_limit = parse_bytes("-M", text);
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

void apply_long(int code, std::string_view text, Options& options) {
  switch (code) {
    case opt_pattern:
      options.pattern = parse_name<Pattern>("--pattern", text, kPatterns);
      break;
    case opt_row:
      options.rows = parse_bytes_list("--row", text);
      break;
    case opt_baseline:
      parse_baselines(text, options);
      break;
    case opt_api:
      options.api = parse_name<Api>("--api", text, kApis);
      break;
    case opt_memory:
      options.memory = parse_name<Memory>("--memory", text, kHostMemories);
      break;
    case opt_buffers:
      parse_buffers(text, options);
      break;
    case opt_json:
      options.json = text;
      break;
    case opt_seed:
      options.seed = static_cast<std::uint64_t>(parse_number("--seed", text, 0));
      break;
    case opt_total:
      options.total = parse_bytes("--total", text);
      break;
    case opt_grid:
      options.grids.clear();
      for (const auto part : split(text, ',')) options.grids.push_back(parse_grid(part));
      break;
    case opt_transpose:
      for (const auto part : split(text, ',')) options.transposes.push_back(parse_transpose(part));
      break;
    case opt_procs:
      parse_procs(text, options);
      break;
    case opt_experts:
      options.experts = parse_number("--experts", text, 1, INT_MAX);
      break;
    case opt_topk:
      options.topk = parse_number("--topk", text, 1, INT_MAX);
      break;
    case opt_tokens:
      options.tokens = parse_number("--tokens", text, 1, INT_MAX);
      break;
    case opt_skew:
      options.skew = parse_real("--skew", text, 0, 10);
      break;
    default:
      break;
  }
}

}  // namespace

void set_accelerator(std::string_view text, Options& options) {
  if (text != "cuda") bad_value("-d", text, "cuda");
  if (!options.buffers_given) options.on_gpu = {true, true};
}

int Options::iterations_for(std::int64_t bytes_per_peer) const {
  if (iterations > 0) return iterations;
  return bytes_per_peer > kLargeMessage ? 30 : 10000;
}

int Options::warmups_for(std::int64_t bytes_per_peer) const {
  if (warmups >= 0) return warmups;
  return bytes_per_peer > kLargeMessage ? 3 : 1000;
}

const char* name(Pattern pattern) {
  return kPatterns[static_cast<std::size_t>(pattern)];
}
const char* name(Baseline baseline) {
  return kBaselines[static_cast<std::size_t>(baseline)];
}
const char* name(Api api) {
  return kApis[static_cast<std::size_t>(api)];
}
const char* name(Memory memory) {
  return kMemories[static_cast<std::size_t>(memory)];
}

std::string memory_text(const Options& options) {
  const std::string send = name(options.send_memory());
  const std::string recv = name(options.recv_memory());
  return send == recv ? send : send + " to " + recv;
}

std::string name(const Transpose& transpose) {
  std::string text = transpose.pencil ? "pencil-" : "slab-";
  text += "xyz"[transpose.from];
  text += "xyz"[transpose.to];
  return text;
}

Options parse_options(int argc, char* const argv[], Program program) {
  Options options;
  const char* accepted = program == Program::nonblocking ? "+:m:i:x:t:M:d:fchv" : "+:m:i:x:M:d:fchv";
  opterr = 0;
  optind = 1;
  for (int code = 0; (code = getopt_long(argc, argv, accepted, kLongOptions, nullptr)) != -1;) {
    const std::string_view word = argv[optind - 1];
    if (code == ':') throw Error(std::string(word) + ": a value is expected");
    if (code == '?' || (code == 't' && program == Program::blocking)) {
      throw Error(std::string(word) + ": unknown option; --help lists those that exist");
    }
    const std::string_view text = optarg != nullptr ? optarg : "";
    if (!apply_short(code, text, options)) apply_long(code, text, options);
  }
  check_baselines(options, program);
  if (optind < argc) throw Error(std::string(argv[optind]) + ": no arguments besides options are expected");
  if (program == Program::nonblocking) std::erase(options.baselines, Baseline::copy);
  if (options.topk > options.experts) throw Error("--topk: more than --experts");
  return options;
}

}  // namespace mpix::bench
