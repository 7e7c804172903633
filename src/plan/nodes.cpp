// SPDX-License-Identifier: BSD-3-Clause
#include "plan/nodes.hpp"

#include <unordered_map>

namespace mpix::plan {

NodeMap::NodeMap(std::span<const int> numbers)
    : node_(numbers.size()), local_(numbers.size()), members_(numbers.size()) {
  std::unordered_map<int, int> nodes;
  std::vector<int> sizes;
  for (std::size_t r = 0; r < numbers.size(); ++r) {
    if (r > 0 && numbers[r] == numbers[r - 1]) {  // as launchers mostly place them
      node_[r] = node_[r - 1];
    } else {
      const auto [found, inserted] = nodes.try_emplace(numbers[r], static_cast<int>(sizes.size()));
      if (inserted) sizes.push_back(0);
      node_[r] = found->second;
    }
    local_[r] = sizes[static_cast<std::size_t>(node_[r])]++;
  }
  first_.reserve(sizes.size() + 1);
  for (const int size : sizes) first_.push_back(first_.back() + size);
  for (std::size_t r = 0; r < numbers.size(); ++r)
    members_[static_cast<std::size_t>(first_[static_cast<std::size_t>(node_[r])] + local_[r])] =
        static_cast<int>(r);
}

std::int64_t NodeMap::memory() const noexcept {
  const std::size_t entries = node_.capacity() + local_.capacity() + first_.capacity() + members_.capacity();
  return static_cast<std::int64_t>(sizeof(NodeMap) + entries * sizeof(int));
}

}  // namespace mpix::plan
