// SPDX-License-Identifier: BSD-3-Clause
#include "layout/contents.hpp"

#include <algorithm>

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "handle/mpi.hpp"

namespace mpix::layout {

bool is_predefined(int combiner) noexcept {
  switch (combiner) {
    case MPI_COMBINER_NAMED:
    case MPI_COMBINER_F90_REAL:
    case MPI_COMBINER_F90_COMPLEX:
    case MPI_COMBINER_F90_INTEGER:
#ifdef MPIX_HAVE_VALUE_INDEX
    case MPI_COMBINER_VALUE_INDEX:
#endif
      return true;
    default:
      return false;
  }
}

namespace {

int envelope(MPI_Datatype type, int& combiner) noexcept {
#ifdef HAVE_MPI_TYPE_GET_CONTENTS_C
  MPI_Count integers = 0, addresses = 0, counts = 0, types = 0;
  return MPI_Type_get_envelope_c(type, &integers, &addresses, &counts, &types, &combiner);
#else
  int integers = 0, addresses = 0, types = 0;
  return MPI_Type_get_envelope(type, &integers, &addresses, &types, &combiner);
#endif
}

#ifdef HAVE_MPI_TYPE_GET_CONTENTS_C
/// The counts of the large-count array constructors belong between their integers.
void insert_counts(std::vector<std::int64_t>& numbers, const std::vector<MPI_Count>& counts, int combiner) {
  std::size_t at = numbers.size();
  if (combiner == MPI_COMBINER_SUBARRAY) at = 1;
  if (combiner == MPI_COMBINER_DARRAY) at = 3;
  at = std::min(at, numbers.size());
  numbers.insert(numbers.begin() + static_cast<std::ptrdiff_t>(at), counts.begin(), counts.end());
}
#endif

}  // namespace

#ifdef HAVE_MPI_TYPE_GET_CONTENTS_C

void Contents::read(MPI_Datatype type) {
  MPI_Count n_integers = 0, n_addresses = 0, n_counts = 0, n_types = 0;
  check_mpi(MPI_Type_get_envelope_c(type, &n_integers, &n_addresses, &n_counts, &n_types, &combiner_),
            "MPI_Type_get_envelope_c");
  if (combiner_ == MPI_COMBINER_NAMED) return;
  std::vector<int> integers(static_cast<std::size_t>(n_integers));
  std::vector<MPI_Aint> addresses(static_cast<std::size_t>(n_addresses));
  std::vector<MPI_Count> counts(static_cast<std::size_t>(n_counts));
  types_.assign(static_cast<std::size_t>(n_types), MPI_DATATYPE_NULL);
  numbers_.reserve(integers.size() + addresses.size() + counts.size());
  check_mpi(MPI_Type_get_contents_c(type, n_integers, n_addresses, n_counts, n_types, integers.data(),
                                    addresses.data(), counts.data(), types_.data()),
            "MPI_Type_get_contents_c");
  numbers_.assign(integers.begin(), integers.end());
  numbers_.insert(numbers_.end(), addresses.begin(), addresses.end());
  insert_counts(numbers_, counts, combiner_);
}

#else

void Contents::read(MPI_Datatype type) {
  int n_integers = 0, n_addresses = 0, n_types = 0;
  check_mpi(MPI_Type_get_envelope(type, &n_integers, &n_addresses, &n_types, &combiner_),
            "MPI_Type_get_envelope");
  if (combiner_ == MPI_COMBINER_NAMED) return;
  std::vector<int> integers(static_cast<std::size_t>(n_integers));
  std::vector<MPI_Aint> addresses(static_cast<std::size_t>(n_addresses));
  types_.assign(static_cast<std::size_t>(n_types), MPI_DATATYPE_NULL);
  numbers_.reserve(integers.size() + addresses.size());
  check_mpi(MPI_Type_get_contents(type, n_integers, n_addresses, n_types, integers.data(), addresses.data(),
                                  types_.data()),
            "MPI_Type_get_contents");
  numbers_.assign(integers.begin(), integers.end());
  numbers_.insert(numbers_.end(), addresses.begin(), addresses.end());
}

#endif

Contents::Contents(MPI_Datatype type) {
  read(type);
}

Contents::~Contents() {
  for (MPI_Datatype& type : types_) {
    if (type == MPI_DATATYPE_NULL) continue;
    int combiner = MPI_COMBINER_NAMED;
    warn_mpi(envelope(type, combiner), "MPI_Type_get_envelope");
    if (!is_predefined(combiner)) warn_mpi(MPI_Type_free(&type), "MPI_Type_free");
  }
}

std::int64_t Contents::number(std::size_t index) const {
  if (index >= numbers_.size())
    throw Error(Code::internal, text("MPI_Type_get_contents gave ", numbers_.size(), " numbers for combiner ",
                                     combiner_, ", too few"));
  return numbers_[index];
}

MPI_Datatype Contents::type(std::size_t index) const {
  if (index >= types_.size())
    throw Error(Code::internal, text("MPI_Type_get_contents gave ", types_.size(), " datatypes for combiner ",
                                     combiner_, ", too few"));
  return types_[index];
}

}  // namespace mpix::layout
