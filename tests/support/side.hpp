// SPDX-License-Identifier: BSD-3-Clause
/// Random layouts of given sizes, made by any of the four constructors, with the bytes that they stand for.
#pragma once

#include <mpix_layout.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/support/byte_map.hpp"
#include "tests/support/rng.hpp"

namespace mpix::test {

enum class Constructor { v, w, indexed_block, hindexed };

struct SideOptions {
  bool receive = false;        ///< no byte twice
  bool nested = true;          ///< datatypes of make_random_type among the others; else blocks of bytes
  std::int64_t pieces = 2000;  ///< most segments that hindexed cuts one peer's bytes into
  std::optional<Constructor> constructor;
};

/// A layout and its byte maps, one for each peer. Owns the handle.
class Side {
 public:
  Side() = default;
  Side(MPIX_Layout layout, std::vector<ByteMap> maps, std::string description);
  Side(Side&& other) noexcept;
  Side& operator=(Side&& other) noexcept;
  ~Side();

  MPIX_Layout layout() const { return layout_; }
  const std::vector<ByteMap>& maps() const { return maps_; }
  const std::string& description() const { return description_; }
  /// Gives up the handle; the maps stay.
  int free_layout();

 private:
  MPIX_Layout layout_ = MPIX_LAYOUT_NULL;
  std::vector<ByteMap> maps_;
  std::string description_;
};

/// A layout with totals[p] bytes for peer p. Throws std::runtime_error where a constructor fails.
Side random_side(Rng& rng, const std::vector<std::int64_t>& totals, const SideOptions& options);

/// hindexed over `maps`, exactly as they stand.
Side side_of_maps(std::vector<ByteMap> maps, std::string description);

}  // namespace mpix::test
