// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/mapped_type.hpp"

#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <utility>

#include "base/text.hpp"
#include "tests/support/random_type.hpp"

namespace mpix::test {
namespace {

void must(int code, const char* what) {
  if (code != MPI_SUCCESS) throw std::runtime_error(text(what, " failed with ", code));
}

/// The arguments of MPI_Type_create_struct, with one element a member, so that no extent matters.
struct Members {
  std::vector<int> lengths;
  std::vector<MPI_Aint> displs;
  std::vector<MPI_Datatype> types;
  ByteMap map;
  std::int64_t end = 0;  ///< first byte behind all members so far

  void add(MPI_Datatype type, int length, const ByteMap& element, std::int64_t at) {
    lengths.push_back(length);
    displs.push_back(at);
    types.push_back(type);
    for (const Segment& s : element) append(map, {at + s.offset, s.length});
  }
};

ByteMap joined(const std::vector<std::int64_t>& offsets) {
  ByteMap map;
  for (const std::int64_t offset : offsets) append(map, {offset, 1});
  return map;
}

void add_bytes(Rng& rng, Members& members, std::int64_t bytes) {
  while (bytes > 0) {
    const std::int64_t length = rng.chance(50) ? bytes : rng.between(1, bytes);
    const std::int64_t at = members.end + (rng.chance(60) ? rng.between(0, 9) : 0);
    members.add(MPI_BYTE, static_cast<int>(length), {{0, length}}, at);
    members.end = at + length;
    bytes -= length;
  }
}

/// Adds a few elements of a nested type; returns how many bytes they have.
std::int64_t add_nested(Rng& rng, Members& members, RandomType& nested, std::int64_t size) {
  const ByteMap element = joined(nested.map);
  const auto bytes = static_cast<std::int64_t>(nested.map.size());
  if (bytes == 0 || bytes > size) return 0;
  const Range range = range_of({element});
  const std::int64_t copies = rng.between(1, std::min<std::int64_t>(3, size / bytes));
  for (std::int64_t k = 0; k < copies; ++k) {
    const std::int64_t at = members.end - range.low + rng.between(0, 5);
    members.add(nested.type, 1, element, at);
    members.end = at + range.high;
  }
  return copies * bytes;
}

MPI_Datatype create_struct(const Members& members) {
  MPI_Datatype type = MPI_DATATYPE_NULL;
  must(MPI_Type_create_struct(static_cast<int>(members.types.size()), members.lengths.data(),
                              members.displs.data(), members.types.data(), &type),
       "MPI_Type_create_struct");
  return type;
}

}  // namespace

OwnedType& OwnedType::operator=(OwnedType&& other) noexcept {
  std::swap(type_, other.type_);
  return *this;
}

OwnedType::~OwnedType() {
  if (type_ != MPI_DATATYPE_NULL && MPI_Type_free(&type_) != MPI_SUCCESS)
    std::fputs("FAILURE: MPI_Type_free\n", stderr);
}

MappedType random_mapped_type(Rng& rng, std::int64_t size, const MappedTypeOptions& options) {
  Members members;
  members.end = rng.chance(30) ? rng.between(-50, 50) : 0;
  RandomType nested;
  std::int64_t left = size;
  std::string description = "bytes";
  const bool bytes_first = rng.chance(30);
  if (bytes_first) {
    const std::int64_t some = rng.between(0, left - 1);
    add_bytes(rng, members, some);
    left -= some;
  }
  if (options.nested && rng.chance(75)) {
    TypeOptions limits;
    limits.max_bytes = std::min<std::int64_t>(left, 1024);
    limits.overlap = options.overlap;
    nested = make_random_type(rng.engine(), limits);
    const std::int64_t used = add_nested(rng, members, nested, left);
    if (used > 0) description = nested.description;
    left -= used;
  }
  add_bytes(rng, members, left);
  const OwnedType plain(create_struct(members));
  MappedType result;
  result.map = std::move(members.map);
  result.range = range_of({result.map});
  result.extent = result.range.high - result.range.low + (rng.chance(50) ? rng.between(0, 20) : 0);
  MPI_Datatype resized = MPI_DATATYPE_NULL;
  const MPI_Aint lb = rng.chance(70) ? result.range.low : rng.between(-30, 30);
  must(MPI_Type_create_resized(plain.get(), lb, result.extent, &resized), "MPI_Type_create_resized");
  result.type = OwnedType(resized);
  must(MPI_Type_commit(&resized), "MPI_Type_commit");
  result.description = text(size, " B of ", description, " every ", result.extent);
  return result;
}

}  // namespace mpix::test
