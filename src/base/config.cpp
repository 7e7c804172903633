// SPDX-License-Identifier: BSD-3-Clause
#include "base/config.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/status.hpp"
#include "base/text.hpp"

namespace mpix {
namespace {

constexpr std::string_view kPrefix = "MPIX_LAYOUT_";
constexpr std::string_view kInfoPrefix = "mpix_layout_";

template <typename T>
using Names = std::vector<std::pair<std::string_view, T>>;

const Names<log::Level> kLevels = {{"none", log::Level::none},
                                   {"error", log::Level::error},
                                   {"warn", log::Level::warn},
                                   {"info", log::Level::info},
                                   {"debug", log::Level::debug}};
const Names<Check> kChecks = {{"basic", Check::basic}, {"full", Check::full}};
const Names<Choice> kChoices = {{"off", Choice::off}, {"auto", Choice::automatic}, {"on", Choice::on}};
const Names<bool> kBools = {{"off", false}, {"on", true},  {"0", false},
                            {"1", true},    {"no", false}, {"yes", true}};
const Names<Route> kRoutes = {{"auto", Route::automatic},
                              {"direct", Route::direct},
                              {"forward", Route::forward},
                              {"aggregate", Route::aggregate}};
const Names<Progress> kProgress = {{"auto", Progress::automatic},
                                   {"hook", Progress::hook},
                                   {"poll", Progress::poll},
                                   {"thread", Progress::thread}};

template <typename T>
bool set_named(const Names<T>& names, T& member, std::string_view value) {
  const auto found =
      std::find_if(names.begin(), names.end(), [&](const auto& n) { return n.first == value; });
  if (found == names.end()) return false;
  member = found->second;
  return true;
}

template <typename T>
std::string get_named(const Names<T>& names, T member) {
  const auto found =
      std::find_if(names.begin(), names.end(), [&](const auto& n) { return n.second == member; });
  return std::string(found->first);
}

template <typename T>
bool parse_number(std::string_view value, T& number, std::string_view& rest) {
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{}) return false;
  rest = value.substr(static_cast<std::size_t>(end - value.data()));
  return true;
}

bool set_count(std::int64_t& member, std::string_view value, std::int64_t least) {
  std::int64_t number = 0;
  std::string_view rest;
  if (!parse_number(value, number, rest) || !rest.empty() || number < least) return false;
  member = number;
  return true;
}

/// Bytes with an optional suffix K, M or G (powers of 1024).
bool set_bytes(std::int64_t& member, std::string_view value, std::int64_t least) {
  std::int64_t number = 0;
  std::string_view rest;
  if (!parse_number(value, number, rest) || number < 0) return false;
  int shift = 0;
  if (!rest.empty()) {
    const std::size_t suffix = std::string_view("KMG").find(static_cast<char>(std::toupper(rest[0])));
    if (suffix == std::string_view::npos || rest.size() > 1) return false;
    shift = 10 * (static_cast<int>(suffix) + 1);
  }
  if (number > (std::numeric_limits<std::int64_t>::max() >> shift)) return false;
  number <<= shift;
  if (number < least) return false;
  member = number;
  return true;
}

std::string get_bytes(std::int64_t value) {
  for (const auto& [shift, suffix] : {std::pair{30, 'G'}, std::pair{20, 'M'}, std::pair{10, 'K'}})
    if (value != 0 && (value & ((std::int64_t{1} << shift) - 1)) == 0) return text(value >> shift, suffix);
  return text(value);
}

bool set_streaming(std::optional<std::int64_t>& member, std::string_view value) {
  std::int64_t bytes = 0;
  const bool automatic = value == "auto";
  if (!automatic && !set_bytes(bytes, value, 0)) return false;
  member = automatic ? std::nullopt : std::optional(bytes);
  return true;
}

bool set_seconds(double& member, std::string_view value) {
  double number = 0;
  std::string_view rest;
  if (!parse_number(value, number, rest) || !rest.empty() || !std::isfinite(number) || number < 0)
    return false;
  member = number;
  return true;
}

bool set_text(std::string& member, std::string_view value) {
  member = value;
  return true;
}

bool set_kernels(std::string& member, std::string_view value) {
  const bool known = value == "auto" || value == "avx512" || value == "avx2" || value == "portable";
  return known && set_text(member, value);
}

using View = std::string_view;

std::vector<ConfigRow> general_rows() {
  return {
      {"log", "none|error|warn|info|debug", "warn", "what is written to standard error", false,
       [](Config& c, View v) { return set_named(kLevels, c.log, v); },
       [](const Config& c) { return get_named(kLevels, c.log); }},
      {"timeout", "seconds", "600", "time without progress after which an exchange fails; 0 waits for ever",
       true, [](Config& c, View v) { return set_seconds(c.timeout, v); },
       [](const Config& c) { return text(c.timeout); }},
      {"check", "basic|full", "basic",
       "full: compare all sizes before every exchange and look for overlapping receive blocks", false,
       [](Config& c, View v) { return set_named(kChecks, c.check, v); },
       [](const Config& c) { return get_named(kChecks, c.check); }},
      {"streaming", "auto|bytes", "auto",
       "bytes received in an exchange from which a rank stores them past the caches; auto: from 1M on, where "
       "that was faster in exchanges before",
       true, [](Config& c, View v) { return set_streaming(c.streaming, v); },
       [](const Config& c) { return c.streaming ? get_bytes(*c.streaming) : "auto"; }},
      {"kernels", "auto|avx512|avx2|portable", "auto", "inner loops on the host", false,
       [](Config& c, View v) { return set_kernels(c.kernels, v); },
       [](const Config& c) { return c.kernels; }},
      {"spin", "polls", "2000",
       "polls of a waiting rank before it yields its core; ignored where ranks outnumber cores", false,
       [](Config& c, View v) { return set_count(c.spin, v, 0); },
       [](const Config& c) { return text(c.spin); }},
      {"progress", "auto|hook|poll|thread", "auto",
       "who completes requests: the MPI's progress engine, its request polling, or a thread", false,
       [](Config& c, View v) { return set_named(kProgress, c.progress, v); },
       [](const Config& c) { return get_named(kProgress, c.progress); }},
  };
}

/// Inside a node.
std::vector<ConfigRow> node_rows() {
  return {
      {"shm", "on|off", "on", "shared memory between the ranks of a node", false,
       [](Config& c, View v) { return set_named(kBools, c.shm, v); },
       [](const Config& c) { return get_named(kBools, c.shm); }},
      {"attach", "off|auto|on", "auto",
       "cross-memory attach between the ranks of a node; auto: for long runs where a trial shows that it is "
       "fast",
       true, [](Config& c, View v) { return set_named(kChoices, c.attach, v); },
       [](const Config& c) { return get_named(kChoices, c.attach); }},
      {"attach_block", "bytes", "16K", "mean run length from which attach=auto uses cross-memory attach",
       true, [](Config& c, View v) { return set_bytes(c.attach_block, v, 1); },
       [](const Config& c) { return get_bytes(c.attach_block); }},
      {"mapped", "on|off", "on", "copy straight from memory of MPIX_Layout_mem_alloc", true,
       [](Config& c, View v) { return set_named(kBools, c.mapped, v); },
       [](const Config& c) { return get_named(kBools, c.mapped); }},
      {"staging", "bytes", "8M", "shared staging memory of a rank, for all its communicators and peers",
       false, [](Config& c, View v) { return set_bytes(c.staging, v, 64 << 10); },
       [](const Config& c) { return get_bytes(c.staging); }},
      {"chunk", "bytes", "256K", "largest chunk inside a node; cut to a quarter of the staging memory", false,
       [](Config& c, View v) { return set_bytes(c.chunk, v, 4 << 10); },
       [](const Config& c) { return get_bytes(c.chunk); }},
  };
}

/// Between nodes.
std::vector<ConfigRow> network_rows() {
  return {
      {"net_staging", "bytes", "16M", "staging memory of a rank for other nodes, each way", false,
       [](Config& c, View v) { return set_bytes(c.net_staging, v, 64 << 10); },
       [](const Config& c) { return get_bytes(c.net_staging); }},
      {"net_chunk", "bytes", "512K", "largest chunk between nodes; cut to a quarter of the staging memory",
       false, [](Config& c, View v) { return set_bytes(c.net_chunk, v, 4 << 10); },
       [](const Config& c) { return get_bytes(c.net_chunk); }},
      {"kept_lists", "bytes", "256K",
       "lists of places that a forwarder keeps for each rank that sends to it, so that a plan sends them "
       "only once; less where there are more than 512 ranks. How they are handed out is kept too, in up to "
       "64 MiB of each node for each communicator. Inside a node the receiver keeps where rows go "
       "that it gets once for several places, 16 bytes a place, whatever the size; with 0 nothing is kept",
       true, [](Config& c, View v) { return set_bytes(c.kept_lists, v, 0); },
       [](const Config& c) { return get_bytes(c.kept_lists); }},
      {"route", "auto|direct|forward|aggregate", "auto",
       "between nodes: every rank's bytes by themselves (direct), what several ranks of a node get once, "
       "through one of them (forward), or likewise with all messages for a node joined to one (aggregate); "
       "auto: for each node what costs least",
       true, [](Config& c, View v) { return set_named(kRoutes, c.route, v); },
       [](const Config& c) { return get_named(kRoutes, c.route); }},
      {"helpers", "off|auto|on", "auto",
       "ranks that have sent what they have for other nodes send for loaded ranks of their node; auto: where "
       "the ranks of the node use different network devices",
       true, [](Config& c, View v) { return set_named(kChoices, c.helpers, v); },
       [](const Config& c) { return get_named(kChoices, c.helpers); }},
      {"net_devices", "list", "",
       "network devices, as in UCX_NET_DEVICES; of several such lists with semicolons between them, each "
       "rank of a node takes the next, and sends by those of the other lists to ranks that its own do not "
       "reach (UCX from 1.20 on looks for a route); empty: of several fabric ports the nearest, and the "
       "others to ranks that it does not reach, else UCX's own choice",
       false, [](Config& c, View v) { return set_text(c.net_devices, v); },
       [](const Config& c) { return c.net_devices; }},
  };
}

std::vector<ConfigRow> gpu_rows() {
  return {
      {"cuda", "on|off", "on", "buffers in memory of GPUs; off: all memory is taken for the host's", false,
       [](Config& c, View v) { return set_named(kBools, c.cuda, v); },
       [](const Config& c) { return get_named(kBools, c.cuda); }},
      {"cuda_ipc", "on|off", "on",
       "copy straight from the memory of other ranks' GPUs inside a node, where a trial shows that it works",
       true, [](Config& c, View v) { return set_named(kBools, c.cuda_ipc, v); },
       [](const Config& c) { return get_named(kBools, c.cuda_ipc); }},
      {"net_gpu_memory", "off|auto|on", "auto",
       "between nodes, chunks that only a GPU writes or reads lie in its memory, up to "
       "MPIX_LAYOUT_NET_STAGING bytes each way, where UCX 1.21 or newer handles such memory; auto: if a "
       "network device reaches it",
       false, [](Config& c, View v) { return set_named(kChoices, c.net_gpu_memory, v); },
       [](const Config& c) { return get_named(kChoices, c.net_gpu_memory); }},
      {"cuda_driver", "library", "libcuda.so.1", "the CUDA driver, a library's name or path", false,
       [](Config& c, View v) { return set_text(c.cuda_driver, v); },
       [](const Config& c) { return c.cuda_driver; }},
  };
}

std::vector<ConfigRow> make_table() {
  std::vector<ConfigRow> table = general_rows();
  for (const auto& rows : {node_rows(), network_rows(), gpu_rows()})
    table.insert(table.end(), rows.begin(), rows.end());
  return table;
}

std::string lower(View value) {
  std::string result(value);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

const ConfigRow* find_row(View name) {
  const auto& table = config_table();
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const ConfigRow& r) { return r.name == name; });
  return found == table.end() ? nullptr : &*found;
}

std::string bad_value(View what, View value, const ConfigRow& row) {
  return text(what, "=", value, ": expected ", row.type, " (", row.help, ")");
}

}  // namespace

const std::vector<ConfigRow>& config_table() {
  static const std::vector<ConfigRow> table = make_table();
  return table;
}

Config read_config(char* const* environment) {
  Config config;
  for (char* const* entry = environment; entry != nullptr && *entry != nullptr; ++entry) {
    const View whole(*entry);
    const std::size_t equals = whole.find('=');
    if (!whole.starts_with(kPrefix) || equals == View::npos) continue;
    const View variable = whole.substr(0, equals);
    const View value = whole.substr(equals + 1);
    const ConfigRow* row = find_row(lower(variable.substr(kPrefix.size())));
    if (row == nullptr)
      log::warn(variable, " is not a variable of this library; see mpix_layout_info --config");
    else if (!row->set(config, value))
      throw Error(Code::argument, bad_value(variable, value, *row));
  }
  return config;
}

void apply_info(Config& config, View key, View value) {
  if (!key.starts_with(kInfoPrefix)) return;
  const ConfigRow* row = find_row(key.substr(kInfoPrefix.size()));
  if (row == nullptr || !row->per_plan)
    log::warn("info key ", key, row == nullptr ? " is unknown" : " cannot be set for one plan", "; ignored");
  else if (!row->set(config, value))
    throw Error(Code::info, bad_value(key, value, *row));
}

}  // namespace mpix
