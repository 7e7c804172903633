// SPDX-License-Identifier: BSD-3-Clause
// What UCX's lower layer says of devices; UCP does not tell.
#include <uct/api/uct.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "config.h"
#include "handle/ucx.hpp"

namespace mpix {
namespace {

using Domain = std::unique_ptr<uct_md, decltype(&uct_md_close)>;

std::vector<uct_md_resource_desc_t> resources_of(uct_component_h component) {
  uct_component_attr_t attributes{};
  attributes.field_mask = UCT_COMPONENT_ATTR_FIELD_MD_RESOURCE_COUNT;
  if (uct_component_query(component, &attributes) != UCS_OK) return {};
  std::vector<uct_md_resource_desc_t> resources(attributes.md_resource_count);
  attributes.field_mask = UCT_COMPONENT_ATTR_FIELD_MD_RESOURCES;
  attributes.md_resources = resources.data();
  if (resources.empty() || uct_component_query(component, &attributes) != UCS_OK) return {};
  return resources;
}

Domain open_domain(uct_component_h component, const char* name) {
  uct_md_config_t* settings = nullptr;
  if (uct_md_config_read(component, nullptr, nullptr, &settings) != UCS_OK) return {nullptr, &uct_md_close};
  const std::unique_ptr<uct_md_config_t, void (*)(void*)> owner(settings, &uct_config_release);
  uct_md_h domain = nullptr;
  if (uct_md_open(component, name, settings, &domain) != UCS_OK) domain = nullptr;
  return {domain, &uct_md_close};
}

/// Whether `list`, with commas, names the device, with its port or without; an empty one and "all" name every
/// device, and one behind '^' those that it does not name.
bool names(std::string_view list, std::string_view device) {
  if (list.starts_with('^')) return !names(list.substr(1), device);
  if (list.empty() || list == "all") return true;
  while (!list.empty()) {
    const std::string_view next = list.substr(0, list.find(','));
    if (next == device || next == device.substr(0, device.find(':'))) return true;
    list.remove_prefix(std::min(next.size() + 1, list.size()));
  }
  return false;
}

/// Whether the domain has a network device of the list.
bool leads_out(const Domain& domain, std::string_view devices) {
  uct_tl_resource_desc_t* found = nullptr;
  unsigned count = 0;
  if (uct_md_query_tl_resources(domain.get(), &found, &count) != UCS_OK) return false;
  const std::unique_ptr<uct_tl_resource_desc_t, decltype(&uct_release_tl_resource_list)> owner(
      found, &uct_release_tl_resource_list);
  return std::any_of(found, found + count, [&](const uct_tl_resource_desc_t& each) {
    return each.dev_type == UCT_DEVICE_TYPE_NET && names(devices, each.dev_name);
  });
}

/// Itself, or by the file descriptors (dma-buf) under which drivers of GPUs give their memory out.
bool registers(const Domain& domain, ucs_memory_type_t type) {
  uct_md_attr_t attributes{};
  if (uct_md_query(domain.get(), &attributes) != UCS_OK) return false;
  std::uint64_t by_descriptor = 0;
#if HAVE_DECL_UCT_MD_FLAG_REG_DMABUF
  if (type == UCS_MEMORY_TYPE_CUDA) by_descriptor = UCT_MD_FLAG_REG_DMABUF;
#endif
  const bool by_itself = (attributes.cap.reg_mem_types >> type & 1) != 0;
  return ((attributes.cap.flags & UCT_MD_FLAG_REG) != 0 && by_itself) ||
         (attributes.cap.flags & by_descriptor) != 0;
}

}  // namespace

bool devices_reach(std::string_view devices, ucs_memory_type_t type) {
  uct_component_h* components = nullptr;
  unsigned count = 0;
  if (uct_query_components(&components, &count) != UCS_OK) return false;
  const std::unique_ptr<uct_component_h, decltype(&uct_release_component_list)> owner(
      components, &uct_release_component_list);
  for (unsigned i = 0; i < count; ++i) {
    for (const uct_md_resource_desc_t& resource : resources_of(components[i])) {
      const Domain domain = open_domain(components[i], resource.md_name);
      if (domain != nullptr && leads_out(domain, devices) && registers(domain, type)) return true;
    }
  }
  return false;
}

}  // namespace mpix
