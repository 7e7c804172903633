// SPDX-License-Identifier: BSD-3-Clause
/// Type maps as the MPI standard defines them (MPI 4.0, sections 5.1.1 to 5.1.7), for use as a test oracle.
/// Shares no code with the library.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace mpix::test {

/// The entries of a datatype in order, and the markers that resized types leave behind.
struct TypeMap {
  struct Entry {
    std::int64_t at;    ///< displacement in bytes
    std::int64_t size;  ///< bytes
    int align;          ///< what the entry's C type is aligned to
  };
  std::vector<Entry> entries;
  std::optional<std::int64_t> lb_marker, ub_marker;
  /// Upper bound, padding included, of a complete datatype; the furthest one of those that were placed.
  std::optional<std::int64_t> inner_ub;

  /// Places a copy of `part` at displacement `at` behind what is there.
  void append(const TypeMap& part, std::int64_t at);

  std::int64_t bytes() const;
  std::int64_t true_lb() const;  ///< 0 without entries
  std::int64_t true_ub() const;
  std::int64_t lb() const;
  /// Without the padding to the entries' alignment that an MPI may add where there is no marker.
  std::int64_t unpadded_ub() const;
  std::int64_t padded_ub() const;
  /// Where an MPI also pads the inner types of a type without markers; some do, and it is hard to call wrong.
  std::int64_t largest_ub() const;
  /// Offset of each byte, in order.
  std::vector<std::int64_t> offsets() const;
};

/// `count` copies of `map`, `extent` apart, the first moved by `at`.
std::vector<std::int64_t> repeated(const std::vector<std::int64_t>& map, std::int64_t count,
                                   std::int64_t extent, std::int64_t at);

/// Whether any offset occurs twice.
bool has_duplicates(std::vector<std::int64_t> offsets);

}  // namespace mpix::test
