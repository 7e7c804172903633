// SPDX-License-Identifier: BSD-3-Clause
/// Datatypes decoded into shapes, with the bounds that the MPI standard gives them.
#pragma once

#include <mpi.h>

#include <cstdint>

#include "layout/contents.hpp"
#include "layout/shape.hpp"

namespace mpix::layout {

/// A datatype as a value. Bounds follow the standard's definition over the type map (MPI 4.0, section 5.1.7),
/// as Open MPI 4.1's MPI_Type_get_extent does not where strides are negative. Only the padding of an upper
/// bound without marker, which the standard leaves to the MPI, is taken from the MPI.
struct Datatype {
  Shape shape;
  std::int64_t lb = 0, ub = 0;
  bool lb_marked = false, ub_marked = false;  ///< bounds set by a constructor, which enclosing types inherit
  int align = 1;                              ///< strictest alignment of the entries

  std::int64_t extent() const { return subtract(ub, lb); }
};

/// Throws Error (type, no_memory, mpi).
Datatype decode(MPI_Datatype type);

/// Data of MPI_Type_create_subarray and MPI_Type_create_darray, and the number of elements of the whole
/// array.
struct ArrayPart {
  Shape shape;
  std::int64_t elements = 0;
};
ArrayPart decode_subarray(const Contents& contents, const Datatype& element);
ArrayPart decode_darray(const Contents& contents, const Datatype& element);

/// A predefined datatype; `combiner` as is_predefined knows it.
Datatype decode_predefined(MPI_Datatype type, const Contents& contents);

}  // namespace mpix::layout
