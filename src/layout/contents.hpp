// SPDX-License-Identifier: BSD-3-Clause
/// What MPI_Type_get_envelope and MPI_Type_get_contents tell about a datatype, in one shape for the
/// small-count and the large-count constructors.
#pragma once

#include <mpi.h>

#include <cstddef>
#include <cstdint>
#include <vector>

// MPI_Type_get_value_index came with MPI 4.1.
#if MPI_VERSION > 4 || (MPI_VERSION == 4 && MPI_SUBVERSION >= 1)
#define MPIX_HAVE_VALUE_INDEX 1
#endif

namespace mpix::layout {

/// Owns the datatypes that the MPI hands out; frees those that are not predefined.
class Contents {
 public:
  /// Throws Error (mpi).
  explicit Contents(MPI_Datatype type);
  Contents(const Contents&) = delete;
  Contents& operator=(const Contents&) = delete;
  ~Contents();

  int combiner() const noexcept { return combiner_; }
  /// The constructor's numbers in the order of its arguments, whatever their C type: integers, then
  /// addresses. Throws Error (internal) where there are fewer.
  std::int64_t number(std::size_t index) const;
  MPI_Datatype type(std::size_t index) const;
  std::size_t types() const noexcept { return types_.size(); }

 private:
  void read(MPI_Datatype type);

  int combiner_ = MPI_COMBINER_NAMED;
  std::vector<std::int64_t> numbers_;
  std::vector<MPI_Datatype> types_;
};

/// Whether `combiner` is that of a datatype that must not be freed.
bool is_predefined(int combiner) noexcept;

}  // namespace mpix::layout
