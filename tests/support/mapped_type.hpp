// SPDX-License-Identifier: BSD-3-Clause
/// Committed datatypes of a given size with the bytes that they list.
#pragma once

#include <mpi.h>

#include <string>

#include "tests/support/byte_map.hpp"
#include "tests/support/rng.hpp"

namespace mpix::test {

/// Owner of a committed datatype.
class OwnedType {
 public:
  OwnedType() = default;
  explicit OwnedType(MPI_Datatype type) : type_(type) {}
  OwnedType(OwnedType&& other) noexcept : type_(other.type_) { other.type_ = MPI_DATATYPE_NULL; }
  OwnedType& operator=(OwnedType&& other) noexcept;
  ~OwnedType();
  MPI_Datatype get() const { return type_; }

 private:
  MPI_Datatype type_ = MPI_DATATYPE_NULL;
};

struct MappedType {
  OwnedType type;
  ByteMap map;              ///< of one element at offset 0
  std::int64_t extent = 0;  ///< at least the distance from the lowest to past the highest byte
  Range range;              ///< of the map
  std::string description;
};

struct MappedTypeOptions {
  bool overlap = false;  ///< a byte may occur twice
  bool nested = true;    ///< parts from make_random_type
};

/// A datatype of exactly `size` > 0 bytes. Throws std::runtime_error where MPI fails.
MappedType random_mapped_type(Rng& rng, std::int64_t size, const MappedTypeOptions& options);

}  // namespace mpix::test
