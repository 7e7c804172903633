// SPDX-License-Identifier: BSD-3-Clause
#include <sched.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <type_traits>

#include "base/status.hpp"
#include "base/text.hpp"
#include "config.h"
#include "tools/sections.hpp"

#ifdef HAVE_HWLOC
#include <hwloc.h>
#endif

namespace mpix::tools {
namespace {

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

std::string allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return "unknown";
  return text(CPU_COUNT(&set), " hardware threads");
}

#ifdef HAVE_HWLOC

struct DestroyTopology {
  void operator()(hwloc_topology_t topology) const noexcept { hwloc_topology_destroy(topology); }
};
using Topology = std::unique_ptr<std::remove_pointer_t<hwloc_topology_t>, DestroyTopology>;

Topology load_topology() {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) throw Error(Code::internal, "hwloc_topology_init failed");
  Topology topology(raw);
  if (hwloc_topology_set_io_types_filter(raw, HWLOC_TYPE_FILTER_KEEP_ALL) != 0 ||
      hwloc_topology_load(raw) != 0)
    throw Error(Code::internal, text("hwloc cannot read the topology: ", errno_text(errno)));
  return topology;
}

std::string count(hwloc_topology_t topology, hwloc_obj_type_t type) {
  return text(hwloc_get_nbobjs_by_type(topology, type));
}

std::string numa_lines(hwloc_topology_t topology) {
  std::string result;
  hwloc_obj_t node = nullptr;
  while ((node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node)) != nullptr)
    result += line(text("NUMA node ", node->os_index),
                   text(node->attr->numanode.local_memory >> 20, " MiB, ", hwloc_bitmap_weight(node->cpuset),
                        " hardware threads"));
  return result;
}

/// The NUMA nodes near an I/O object.
std::string near(hwloc_topology_t topology, hwloc_obj_t device) {
  const hwloc_obj_t ancestor = hwloc_get_non_io_ancestor_obj(topology, device);
  if (ancestor == nullptr || ancestor->nodeset == nullptr) return "unknown";
  std::array<char, 128> nodes{};
  hwloc_bitmap_list_snprintf(nodes.data(), nodes.size(), ancestor->nodeset);
  return nodes.data();
}

std::string device_kind(hwloc_obj_osdev_type_t type) {
  switch (type) {
    case HWLOC_OBJ_OSDEV_NETWORK:
      return "network";
    case HWLOC_OBJ_OSDEV_OPENFABRICS:
      return "fabric";
    case HWLOC_OBJ_OSDEV_GPU:
    case HWLOC_OBJ_OSDEV_COPROC:
      return "accelerator";
    default:
      return {};
  }
}

std::string device_lines(hwloc_topology_t topology) {
  std::string result;
  hwloc_obj_t device = nullptr;
  while ((device = hwloc_get_next_osdev(topology, device)) != nullptr) {
    const std::string kind = device_kind(device->attr->osdev.type);
    if (kind.empty() || device->name == nullptr) continue;
    const bool virtual_device = device->parent == hwloc_get_root_obj(topology);
    result +=
        line(text(kind, " ", device->name),
             virtual_device ? "virtual: near no NUMA node" : text("near NUMA node ", near(topology, device)));
  }
  return result.empty() ? line("devices", "none found") : result;
}

std::string hardware_lines() {
  const Topology topology = load_topology();
  hwloc_topology_t raw = topology.get();
  return text(line("packages", count(raw, HWLOC_OBJ_PACKAGE)), line("cores", count(raw, HWLOC_OBJ_CORE)),
              line("hardware threads", count(raw, HWLOC_OBJ_PU)), numa_lines(raw), device_lines(raw));
}

#else

std::string hardware_lines() {
  return line("hardware", "unknown: built without hwloc");
}

#endif

}  // namespace

std::string topology_section() {
  return text("Topology\n", line("host", host_name()), line("usable by this process", allowed_cpus()),
              hardware_lines(), "\n");
}

}  // namespace mpix::tools
