// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/type_map.hpp"

#include <algorithm>

namespace mpix::test {

void TypeMap::append(const TypeMap& part, std::int64_t at) {
  for (const Entry& entry : part.entries) entries.push_back({entry.at + at, entry.size, entry.align});
  if (part.lb_marker) lb_marker = std::min(lb_marker.value_or(INT64_MAX), *part.lb_marker + at);
  if (part.ub_marker) ub_marker = std::max(ub_marker.value_or(INT64_MIN), *part.ub_marker + at);
  if (part.inner_ub && !part.entries.empty())
    inner_ub = std::max(inner_ub.value_or(INT64_MIN), *part.inner_ub + at);
}

std::int64_t TypeMap::bytes() const {
  std::int64_t sum = 0;
  for (const Entry& entry : entries) sum += entry.size;
  return sum;
}

std::int64_t TypeMap::true_lb() const {
  std::int64_t low = INT64_MAX;
  for (const Entry& entry : entries) low = std::min(low, entry.at);
  return entries.empty() ? 0 : low;
}

std::int64_t TypeMap::true_ub() const {
  std::int64_t high = INT64_MIN;
  for (const Entry& entry : entries) high = std::max(high, entry.at + entry.size);
  return entries.empty() ? 0 : high;
}

std::int64_t TypeMap::lb() const {
  return lb_marker ? *lb_marker : true_lb();
}

std::int64_t TypeMap::unpadded_ub() const {
  return ub_marker ? *ub_marker : true_ub();
}

namespace {

std::int64_t pad(const TypeMap& map, std::int64_t high) {
  int align = 1;
  for (const TypeMap::Entry& entry : map.entries) align = std::max(align, entry.align);
  while ((high - map.lb()) % align != 0) ++high;
  return high;
}

}  // namespace

std::int64_t TypeMap::padded_ub() const {
  return ub_marker ? *ub_marker : pad(*this, true_ub());
}

std::int64_t TypeMap::largest_ub() const {
  return ub_marker ? *ub_marker : pad(*this, std::max(true_ub(), inner_ub.value_or(INT64_MIN)));
}

std::vector<std::int64_t> TypeMap::offsets() const {
  std::vector<std::int64_t> all;
  for (const Entry& entry : entries)
    for (std::int64_t byte = 0; byte < entry.size; ++byte) all.push_back(entry.at + byte);
  return all;
}

std::vector<std::int64_t> repeated(const std::vector<std::int64_t>& map, std::int64_t count,
                                   std::int64_t extent, std::int64_t at) {
  std::vector<std::int64_t> all;
  for (std::int64_t copy = 0; copy < count; ++copy)
    for (const std::int64_t offset : map) all.push_back(at + copy * extent + offset);
  return all;
}

bool has_duplicates(std::vector<std::int64_t> offsets) {
  std::sort(offsets.begin(), offsets.end());
  return std::adjacent_find(offsets.begin(), offsets.end()) != offsets.end();
}

}  // namespace mpix::test
