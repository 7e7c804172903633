// SPDX-License-Identifier: BSD-3-Clause
/// Predefined datatypes, the pair types with their gaps among them.
#include <algorithm>
#include <cstddef>

#include "handle/mpi.hpp"
#include "layout/datatype.hpp"

namespace mpix::layout {

namespace {

template <typename Value>
struct Pair {
  Value value;
  int index;
};

struct PairType {
  MPI_Datatype type;
  std::int64_t value_size, index_at, extent;
  int align;
};

template <typename Value>
PairType pair_type(MPI_Datatype type) {
  using Both = Pair<Value>;
  return {type, sizeof(Value), offsetof(Both, index), sizeof(Both), alignof(Both)};
}

/// MPI_MINLOC's types for C whose parts differ in size; those of two equal parts have no gaps.
bool find_pair(MPI_Datatype type, PairType& found) {
  for (const PairType& pair :
       {pair_type<float>(MPI_FLOAT_INT), pair_type<double>(MPI_DOUBLE_INT), pair_type<long>(MPI_LONG_INT),
        pair_type<short>(MPI_SHORT_INT), pair_type<long double>(MPI_LONG_DOUBLE_INT)}) {
    if (pair.type != type) continue;
    found = pair;
    return true;
  }
  return false;
}

/// Types of several parts, which are aligned as one of them.
int parts_of(MPI_Datatype type) {
  for (const MPI_Datatype two :
       {MPI_2INT, MPI_C_FLOAT_COMPLEX, MPI_C_DOUBLE_COMPLEX, MPI_C_LONG_DOUBLE_COMPLEX, MPI_COMPLEX,
        MPI_DOUBLE_COMPLEX, MPI_2INTEGER, MPI_2REAL, MPI_2DOUBLE_PRECISION})
    if (type == two) return 2;
  return 1;
}

/// Largest power of two that divides `size`, up to the strictest alignment there is.
int natural_alignment(std::int64_t size) {
  return static_cast<int>(std::min<std::int64_t>(size & -size, alignof(std::max_align_t)));
}

#ifdef MPIX_HAVE_VALUE_INDEX
/// MPI_Type_get_value_index: a structure of both.
Datatype make_pair(const Datatype& value, const Datatype& index) {
  Datatype both;
  both.align = std::max(value.align, index.align);
  const std::int64_t at = (value.ub + index.align - 1) / index.align * index.align;
  both.shape = concatenated({{value.shape, 0}, {index.shape, at}});
  both.ub = (at + index.ub + both.align - 1) / both.align * both.align;
  return both;
}
#endif

/// The old markers MPI_LB and MPI_UB: no data, one bound.
bool find_marker(MPI_Datatype type, Datatype& found) {
#if defined(MPI_UB) && (!defined(OPEN_MPI) || (defined(OMPI_ENABLE_MPI1_COMPAT) && OMPI_ENABLE_MPI1_COMPAT))
  found.lb_marked = type == MPI_LB;
  found.ub_marked = type == MPI_UB;
#else
  static_cast<void>(type);
#endif
  return found.lb_marked || found.ub_marked;
}

}  // namespace

Datatype decode_predefined(MPI_Datatype type, const Contents& contents) {
  Datatype decoded;
#ifdef MPIX_HAVE_VALUE_INDEX
  if (contents.combiner() == MPI_COMBINER_VALUE_INDEX)
    return make_pair(decode(contents.type(0)), decode(contents.type(1)));
#endif
  if (find_marker(type, decoded)) return decoded;
  if (PairType pair{}; find_pair(type, pair)) {
    decoded.shape =
        concatenated({{make_run(0, pair.value_size), 0}, {make_run(0, sizeof(int)), pair.index_at}});
    decoded.ub = pair.extent;
    decoded.align = pair.align;
    return decoded;
  }
  MPI_Count size = 0;
  check_mpi(MPI_Type_size_x(type, &size), "MPI_Type_size_x");
  const int parts = contents.combiner() == MPI_COMBINER_F90_COMPLEX ? 2 : parts_of(type);
  decoded.shape = make_run(0, size);
  decoded.ub = size;
  decoded.align = size > 0 ? natural_alignment(size / parts) : 1;
  return decoded;
}

}  // namespace mpix::layout
