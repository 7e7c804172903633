// SPDX-License-Identifier: BSD-3-Clause
#include "topology/nics.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/text.hpp"
#include "config.h"
#ifdef HAVE_HWLOC
#include <hwloc.h>
#endif

namespace mpix::topology {
namespace {

const std::filesystem::path kFabrics("/sys/class/infiniband");

bool is_active(const std::filesystem::path& port) {
  std::ifstream file(port / "state");
  std::string state;
  return std::getline(file, state) && state.find("ACTIVE") != std::string::npos;
}

std::vector<std::filesystem::path> entries(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> found;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    found.push_back(it->path());
  std::sort(found.begin(), found.end());
  return found;
}

#ifdef HAVE_HWLOC
/// The machine with its devices, and the cores that this process may use.
class Machine {
 public:
  Machine() : loaded_(load()), mine_(hwloc_bitmap_alloc()) {
    if (loaded_ && hwloc_get_cpubind(topology_, mine_, HWLOC_CPUBIND_PROCESS) != 0) hwloc_bitmap_fill(mine_);
  }
  ~Machine() {
    hwloc_bitmap_free(mine_);
    if (made_) hwloc_topology_destroy(topology_);
  }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  bool is_near(const std::string& device) const {
    if (!loaded_) return false;
    for (hwloc_obj_t each = nullptr; (each = hwloc_get_next_osdev(topology_, each)) != nullptr;) {
      if (each->name == nullptr || device != each->name) continue;
      const hwloc_obj_t place = hwloc_get_non_io_ancestor_obj(topology_, each);
      return place != nullptr && place->cpuset != nullptr &&
             hwloc_bitmap_intersects(place->cpuset, mine_) != 0;
    }
    return false;
  }

 private:
  bool load() {
    made_ = hwloc_topology_init(&topology_) == 0;
    return made_ && hwloc_topology_set_io_types_filter(topology_, HWLOC_TYPE_FILTER_KEEP_IMPORTANT) == 0 &&
           hwloc_topology_load(topology_) == 0;
  }

  hwloc_topology_t topology_ = nullptr;
  bool made_ = false;
  bool loaded_;
  hwloc_bitmap_t mine_;
};
#else
struct Machine {
  bool is_near(const std::string&) const { return true; }
};
#endif

}  // namespace

int local_rank() {
  for (const char* name :
       {"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "PMI_LOCAL_RANK", "SLURM_LOCALID"}) {
    const char* const value = std::getenv(name);
    if (value != nullptr) return std::max(std::atoi(value), 0);
  }
  return 0;
}

std::string devices_of(std::string_view lists, int local_rank) {
  const auto count = std::count(lists.begin(), lists.end(), ';') + 1;
  for (auto skip = local_rank % count; skip > 0; --skip) lists.remove_prefix(lists.find(';') + 1);
  return std::string(lists.substr(0, lists.find(';')));
}

std::string all_devices_of(std::string_view lists) {
  std::vector<std::string_view> devices;
  while (!lists.empty()) {
    const std::string_view device = lists.substr(0, lists.find_first_of(";,"));
    lists.remove_prefix(std::min(device.size() + 1, lists.size()));
    if (!device.empty() && std::find(devices.begin(), devices.end(), device) == devices.end())
      devices.push_back(device);
  }
  std::string all;
  for (const std::string_view device : devices) all += text(all.empty() ? "" : ",", device);
  return all;
}

std::string deal_out(std::span<const Nic> nics, int local_rank) {
  std::vector<const Nic*> candidates;
  for (const bool near : {true, false}) {
    for (const Nic& nic : nics)
      if (nic.near == near) candidates.push_back(&nic);
    if (!candidates.empty()) break;
  }
  if (nics.size() < 2) return {};
  return candidates[static_cast<std::size_t>(local_rank) % candidates.size()]->name;
}

std::vector<Nic> find_nics() {
  std::vector<Nic> nics;
  const std::vector<std::filesystem::path> devices = entries(kFabrics);
  if (devices.empty()) return nics;
  const Machine machine;
  for (const std::filesystem::path& device : devices)
    for (const std::filesystem::path& port : entries(device / "ports"))
      if (is_active(port))
        nics.push_back({text(device.filename().string(), ':', port.filename().string()),
                        machine.is_near(device.filename().string())});
  return nics;
}

Devices choose_devices(const std::string& configured) {
  if (!configured.empty()) {
    const std::string own = devices_of(configured, local_rank()), all = all_devices_of(configured);
    return {own, own.empty() || own == all ? "" : all};
  }
  if (std::getenv("UCX_NET_DEVICES") != nullptr) return {};
  const std::string own = deal_out(find_nics(), local_rank());
  return {own, own.empty() ? "" : "all"};
}

}  // namespace mpix::topology
