// SPDX-License-Identifier: BSD-3-Clause
#include <ucp/api/ucp.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/status.hpp"
#include "base/text.hpp"
#include "device/device.hpp"
#include "handle/ucx.hpp"
#include "memory/regions.hpp"
#include "tools/sections.hpp"
#include "topology/nics.hpp"
#include "transport/ucx/worker.hpp"

namespace mpix::tools {
namespace {

/// A context as the library's own: active messages, the configured devices.
UcxContext make_context(const std::string& devices) {
  const UcxConfig config = read_ucx_config();
  if (!devices.empty()) modify(config, "NET_DEVICES", devices.c_str());
  ucp_params_t params = {};
  params.field_mask = UCP_PARAM_FIELD_FEATURES;
  params.features = UCP_FEATURE_AM;
  return create_ucx_context(params, config);
}

/// What ucp_context_print_info writes.
std::string context_info(ucp_context_h context) {
  char* buffer = nullptr;
  std::size_t size = 0;
  std::FILE* const stream = ::open_memstream(&buffer, &size);
  if (stream == nullptr) throw Error(Code::no_memory, "open_memstream failed");
  ucp_context_print_info(context, stream);
  const bool closed = std::fclose(stream) == 0;
  const std::unique_ptr<char, decltype(&std::free)> owner(buffer, &std::free);
  return closed && buffer != nullptr ? std::string(buffer, size) : std::string();
}

/// The "transport/device" words of its lines "# resource N : md M dev D flags F transport/device".
std::vector<std::string> resources(const std::string& info) {
  std::vector<std::string> result;
  std::istringstream lines(info);
  for (std::string whole; std::getline(lines, whole);) {
    if (whole.find(" resource ") == std::string::npos) continue;
    const std::size_t last = whole.find_last_not_of(' ');
    const std::size_t first = whole.find_last_of(' ', last);
    if (last != std::string::npos && first != std::string::npos)
      result.push_back(whole.substr(first + 1, last - first));
  }
  return result;
}

/// Whether a "transport/device" word names something that does not leave the node.
bool local(const std::string& resource) {
  const std::string device = resource.substr(resource.find('/') + 1);
  return device == "lo" || device.starts_with("memory");
}

std::string resource_lines(const std::string& devices) {
  try {
    const UcxContext context = make_context(devices);
    std::string result;
    bool leaves_node = false;
    for (const std::string& resource : resources(context_info(context.get()))) {
      result += line("transport", text(resource, local(resource) ? " (inside this node)" : ""));
      leaves_node |= !local(resource);
    }
    return leaves_node ? result : result + line("network", "out: UCX offers nothing that leaves this node");
  } catch (const Error& error) {
    return line("transports", text("out: ", error.what()));
  }
}

/// Whether what the library needs of UCX can be made here, and whether it takes chunks from GPUs.
std::string trial_lines(const Config& config, const topology::Devices& devices) {
  memory::Regions regions;
  std::string no_gpus;
  const std::unique_ptr<device::Gpus> gpus = device::find_gpus(config, regions, no_gpus);
  try {
    const transport::ucx::UcxWorker worker(config, {devices, &regions, gpus.get()});
    const std::string& unused = gpus != nullptr ? worker.gpu_memory_unused() : no_gpus;
    return line("trial", worker.description()) +
           line("chunks in GPU memory",
                unused.empty() ? "offered to UCX (MPIX_LAYOUT_NET_GPU_MEMORY)" : text("out: ", unused));
  } catch (const Error& error) {
    return line("trial", text("out: ", error.what()));
  }
}

/// Kinds of network that are not there, with the reason.
std::string absent_lines() {
  std::error_code ignored;
  const std::filesystem::path verbs("/sys/class/infiniband");
  std::string result;
  if (!std::filesystem::exists(verbs, ignored) || std::filesystem::is_empty(verbs, ignored))
    result += line("InfiniBand, RoCE", text("out: no device in ", verbs.string()));
  const char* const chosen = std::getenv("UCX_TLS");
  if (chosen != nullptr) result += line("UCX_TLS", text(chosen, ": UCX leaves out what it does not name"));
  return result;
}

}  // namespace

std::string network_section(const Config& config) {
  const topology::Devices devices = topology::choose_devices(config.net_devices);
  return text("Transports between nodes\n", trial_lines(config, devices),
              line("devices", devices.own.empty() ? "UCX's own choice" : devices.own),
              devices.others.empty() ? "" : line("to ranks out of reach", devices.others),
              resource_lines(devices.own), absent_lines(), "\n");
}

}  // namespace mpix::tools
