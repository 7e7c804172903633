// SPDX-License-Identifier: BSD-3-Clause
/// Random nested datatypes of every combiner, each with the type map that the MPI standard gives it.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace mpix::test {

struct TypeOptions {
  int max_depth = 4;              ///< constructors around a predefined type; at least 0
  std::int64_t max_bytes = 4096;  ///< largest type
  bool negative = true;           ///< negative displacements, strides and lower bounds
  bool overlap = false;           ///< a byte may occur more than once: fit for sending only
  bool long_double = false;       ///< long doubles, whose padding bits an MPI need not transfer
  bool large_counts = true;       ///< MPI_Type_*_c constructors too, where the MPI has them
};

/// A committed datatype and what it means. The owner frees the type, before MPI_Finalize.
struct RandomType {
  MPI_Datatype type = MPI_DATATYPE_NULL;
  std::vector<std::int64_t> map;  ///< offset of each byte in the order in which MPI lists them
  std::int64_t lb = 0, ub = 0;    ///< by the standard's rules, negative strides included
  /// What the MPI says about the extents of this type and of all that it is made of is `lb` and `ub`. Where
  /// false, the MPI's own communication and MPI_Pack cannot be trusted with the type.
  bool mpi_agrees = true;
  std::string description;

  RandomType() = default;
  RandomType(RandomType&& other) noexcept;
  RandomType& operator=(RandomType&& other) noexcept;
  ~RandomType();

  std::int64_t extent() const { return ub - lb; }
  /// Offsets of `count` elements, the first displaced by `at` bytes.
  std::vector<std::int64_t> elements(std::int64_t count, std::int64_t at = 0) const;
};

/// Throws std::runtime_error where an MPI call fails.
RandomType make_random_type(std::mt19937_64& random, const TypeOptions& options = {});

/// MPIX_TEST_SEED, or a new seed where that is not set. Callers print it.
std::uint64_t test_seed();

}  // namespace mpix::test
