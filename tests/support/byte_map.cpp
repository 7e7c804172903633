// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/byte_map.hpp"

#include <algorithm>
#include <cstring>

namespace mpix::test {

std::int64_t total(const ByteMap& map) {
  std::int64_t bytes = 0;
  for (const Segment& s : map) bytes += s.length;
  return bytes;
}

void append(ByteMap& map, Segment segment) {
  if (!map.empty() && map.back().offset + map.back().length == segment.offset)
    map.back().length += segment.length;
  else
    map.push_back(segment);
}

void append_repeated(ByteMap& map, const ByteMap& element, std::int64_t count, std::int64_t extent,
                     std::int64_t offset) {
  for (std::int64_t k = 0; k < count; ++k)
    for (const Segment& s : element) append(map, {offset + k * extent + s.offset, s.length});
}

std::int64_t joined_runs(const ByteMap& map) {
  ByteMap joined;
  for (const Segment& s : map)
    if (s.length > 0) append(joined, s);
  return static_cast<std::int64_t>(joined.size());
}

Range range_of(const std::vector<ByteMap>& maps) {
  Range range;
  bool first = true;
  for (const ByteMap& map : maps)
    for (const Segment& s : map) {
      if (s.length == 0) continue;
      range.low = first ? s.offset : std::min(range.low, s.offset);
      range.high = first ? s.offset + s.length : std::max(range.high, s.offset + s.length);
      first = false;
    }
  return range;
}

bool overlaps(const std::vector<ByteMap>& maps) {
  ByteMap all;
  for (const ByteMap& map : maps)
    std::copy_if(map.begin(), map.end(), std::back_inserter(all),
                 [](const Segment& s) { return s.length > 0; });
  std::sort(all.begin(), all.end(), [](const Segment& a, const Segment& b) { return a.offset < b.offset; });
  for (std::size_t i = 1; i < all.size(); ++i)
    if (all[i - 1].offset + all[i - 1].length > all[i].offset) return true;
  return false;
}

void pack(const std::byte* base, const ByteMap& map, std::vector<std::byte>& out) {
  for (const Segment& s : map) out.insert(out.end(), base + s.offset, base + s.offset + s.length);
}

std::span<const std::byte> unpack(std::byte* base, const ByteMap& map, std::span<const std::byte> in) {
  for (const Segment& s : map) {
    const auto length = static_cast<std::size_t>(s.length);
    if (length > 0) std::memcpy(base + s.offset, in.data(), length);
    in = in.subspan(length);
  }
  return in;
}

}  // namespace mpix::test
