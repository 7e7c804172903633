// SPDX-License-Identifier: BSD-3-Clause
/// Configuration: environment variables MPIX_LAYOUT_* and info keys, all from one table.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"

namespace mpix {

enum class Check { basic, full };
enum class Choice { off, automatic, on };
enum class Route { automatic, direct, forward, aggregate };
/// Whether even short messages go through forwarders.
constexpr bool forces_forwarding(Route route) noexcept {
  return route == Route::forward || route == Route::aggregate;
}
enum class Progress { automatic, hook, poll, thread };

/// Values in force, one member for each row of config_table().
struct Config {
  log::Level log = log::Level::warn;
  double timeout = 600;  ///< seconds without progress; 0 waits for ever
  Check check = Check::basic;
  bool shm = true;                                     ///< use shared memory inside a node
  Choice attach = Choice::automatic;                   ///< cross-memory attach
  bool mapped = true;                                  ///< copy straight from MPIX_Layout_mem_alloc memory
  std::int64_t staging = std::int64_t{8} << 20;        ///< bytes of shared staging memory of a rank
  std::int64_t chunk = std::int64_t{256} << 10;        ///< largest bytes of one chunk inside a node
  std::int64_t net_staging = std::int64_t{16} << 20;   ///< bytes of staging memory for the network, each way
  std::int64_t net_chunk = std::int64_t{512} << 10;    ///< largest bytes of one chunk between nodes
  std::int64_t kept_lists = std::int64_t{256} << 10;   ///< bytes of lists that a forwarder keeps for a rank
  std::int64_t attach_block = std::int64_t{16} << 10;  ///< mean run length from which attach is used
  std::optional<std::int64_t> streaming;    ///< bytes of an exchange from which stores stream; none: measured
  std::string kernels = "auto";             ///< host kernels by name
  std::int64_t spin = 2000;                 ///< polls before a waiting rank yields
  Progress progress = Progress::automatic;  ///< who completes requests
  Route route = Route::automatic;           ///< between nodes
  Choice helpers = Choice::automatic;       ///< idle ranks send for loaded ones of their node
  bool cuda = true;                         ///< look whether buffers are a GPU's
  bool cuda_ipc = true;                     ///< read memory of other ranks' GPUs directly
  Choice net_gpu_memory = Choice::automatic;  ///< chunks between nodes lie in memory of GPUs
  std::string cuda_driver = "libcuda.so.1";   ///< the CUDA driver's library
  std::string net_devices;  ///< UCX devices to use, maybe a list for each rank of a node; may be empty
};

/// One row: what the environment variable `name` (MPIX_LAYOUT_<NAME>) and the info key (mpix_layout_<name>)
/// set, its type in words, default and help.
struct ConfigRow {
  std::string_view name;  ///< lower case, as in the info key
  std::string_view type;
  std::string_view default_value;
  std::string_view help;
  bool per_plan;  ///< may be set by an info key of a plan
  /// Parses `value` into `config`; false where it is not of the row's type or range.
  bool (*set)(Config& config, std::string_view value);
  /// The value in force as text that `set` would accept.
  std::string (*get)(const Config& config);
};

const std::vector<ConfigRow>& config_table();

/// Reads every MPIX_LAYOUT_* entry of `environment` (null-terminated, as environ). A bad value throws
/// Error (argument); an unknown name warns once.
Config read_config(char* const* environment);

/// Applies one info key ("mpix_layout_<name>") to `config`; throws Error (info) for a bad value, warns for an
/// unknown key of ours, and ignores keys of others.
void apply_info(Config& config, std::string_view key, std::string_view value);

}  // namespace mpix
