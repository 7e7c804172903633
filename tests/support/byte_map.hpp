// SPDX-License-Identifier: BSD-3-Clause
/// The oracle's idea of a layout: for one peer, the bytes in listing order. Shares no code with the library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mpix::test {

struct Segment {
  std::int64_t offset = 0;
  std::int64_t length = 0;
};

/// Segments in listing order; lengths may be 0.
using ByteMap = std::vector<Segment>;

std::int64_t total(const ByteMap& map);
/// Appends `segment`, joined with the last one where they touch.
void append(ByteMap& map, Segment segment);
/// `count` copies of `element`, `extent` apart, the first moved by `offset`.
void append_repeated(ByteMap& map, const ByteMap& element, std::int64_t count, std::int64_t extent,
                     std::int64_t offset);
/// Number of segments that remain when neighbours in listing order that touch are joined.
std::int64_t joined_runs(const ByteMap& map);

/// Lowest offset and end of the highest byte; both 0 where there are no bytes.
struct Range {
  std::int64_t low = 0;
  std::int64_t high = 0;
};
Range range_of(const std::vector<ByteMap>& maps);
/// Whether any byte is listed twice.
bool overlaps(const std::vector<ByteMap>& maps);

/// Appends to `out` what `map` lists of the buffer at `base`.
void pack(const std::byte* base, const ByteMap& map, std::vector<std::byte>& out);
/// Writes the first total(map) bytes of `in` to where `map` lists them, and returns the rest.
std::span<const std::byte> unpack(std::byte* base, const ByteMap& map, std::span<const std::byte> in);

}  // namespace mpix::test
