// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/random_type.hpp"

#include <cstddef>
#include <cstdlib>

#include "tests/support/type_generator.hpp"

namespace mpix::test {

Reach reach(const Node& node, std::int64_t copies) {
  const std::int64_t far = (copies - 1) * node.extent();
  return {std::min<std::int64_t>(0, far) + node.map.true_lb(),
          std::max<std::int64_t>(0, far) + node.map.true_ub()};
}

TypeMap copies(const Node& node, std::int64_t count, std::int64_t stride) {
  TypeMap map;
  for (std::int64_t i = 0; i < count; ++i) map.append(node.map, i * stride);
  return map;
}

namespace {

/// Open MPI 5.0 misplaces complex numbers that lie half an element apart.
bool handles_complex() {
#if defined(OPEN_MPI) && OMPI_MAJOR_VERSION >= 5
  return false;
#else
  return true;
#endif
}

/// Whether the MPI sees the same data in `type`, as far as it can be asked.
bool knows_data(MPI_Datatype type, const TypeMap& map) {
  MPI_Count size = 0;
  MPI_Aint true_lb = 0, true_extent = 0;
  CHECKED(MPI_Type_size_x(type, &size));
  CHECKED(MPI_Type_get_true_extent(type, &true_lb, &true_extent));
  if (size != map.bytes()) return false;
  return size == 0 || (true_lb == map.true_lb() && true_lb + true_extent == map.true_ub());
}

}  // namespace

/// Takes over `type`, and decides about the padding that the standard leaves to the MPI.
Node Generator::finish(MPI_Datatype type, TypeMap map, const std::vector<const Node*>& parts,
                       std::string text) {
  Node node;
  node.type = type;
  node.owned = true;
  node.text = std::move(text);
  node.lb = map.lb();
  MPI_Aint lb = 0, extent = 0;
  CHECKED(MPI_Type_get_extent(type, &lb, &extent));
  const std::int64_t ub = lb + extent;
  const bool plausible = lb == node.lb && ub >= map.unpadded_ub() && ub <= map.largest_ub();
  node.ub = plausible ? ub : map.padded_ub();
  node.mpi_agrees = lb == node.lb && ub == node.ub && knows_data(type, map);
  for (const Node* part : parts) {
    node.mpi_agrees = node.mpi_agrees && part->mpi_agrees;
#ifdef OPEN_MPI  // 4.1 misplaces the elements of a structure with a member that has an extent but no data
    node.mpi_agrees = node.mpi_agrees && (map.entries.empty() || !part->map.entries.empty());
#endif
  }
  node.map = std::move(map);
  node.map.inner_ub = node.ub;
  return node;
}

Node Generator::leaf() {
  if (chance(5)) return fortran_leaf();
  struct Named {
    MPI_Datatype type;
    const char* name;
    std::vector<TypeMap::Entry> entries;
    std::int64_t extent;
  };
  struct DoubleInt {
    double a;
    int b;
  };
  struct ShortInt {
    short a;
    int b;
  };
  struct LongInt {
    long a;
    int b;
  };
  struct LongDoubleInt {
    long double a;
    int b;
  };
  constexpr std::int64_t kLongDoubles = 2;  // at the end of the list
  const std::vector<Named> all = {
      {MPI_BYTE, "BYTE", {{0, 1, 1}}, 1},
      {MPI_CHAR, "CHAR", {{0, 1, 1}}, 1},
      {MPI_SHORT, "SHORT", {{0, 2, 2}}, 2},
      {MPI_INT, "INT", {{0, 4, 4}}, 4},
      {MPI_DOUBLE, "DOUBLE", {{0, 8, 8}}, 8},
      {MPI_C_FLOAT_COMPLEX, "C_FLOAT_COMPLEX", {{0, 8, 4}}, 8},
      {MPI_C_DOUBLE_COMPLEX, "C_DOUBLE_COMPLEX", {{0, 16, 8}}, 16},
      {MPI_2INT, "2INT", {{0, 4, 4}, {4, 4, 4}}, 8},
      {MPI_DOUBLE_INT, "DOUBLE_INT", {{0, 8, 8}, {offsetof(DoubleInt, b), 4, 4}}, sizeof(DoubleInt)},
      {MPI_SHORT_INT, "SHORT_INT", {{0, 2, 2}, {offsetof(ShortInt, b), 4, 4}}, sizeof(ShortInt)},
      {MPI_LONG_INT, "LONG_INT", {{0, 8, 8}, {offsetof(LongInt, b), 4, 4}}, sizeof(LongInt)},
      {MPI_LONG_DOUBLE, "LONG_DOUBLE", {{0, sizeof(long double), alignof(long double)}}, sizeof(long double)},
      {MPI_LONG_DOUBLE_INT,
       "LONG_DOUBLE_INT",
       {{0, sizeof(long double), alignof(long double)}, {offsetof(LongDoubleInt, b), 4, 4}},
       sizeof(LongDoubleInt)},
  };
  const auto kinds = static_cast<std::int64_t>(all.size()) - (options_.long_double ? 0 : kLongDoubles);
  const Named& named = all[static_cast<std::size_t>(pick(0, kinds - 1))];
  Node node;
  node.type = named.type;
  node.text = named.name;
  node.mpi_agrees = node.text.find("COMPLEX") == std::string::npos || handles_complex();
  node.map.entries = named.entries;
  node.ub = named.extent;
  node.map.inner_ub = node.ub;
  return node;
}

Node Generator::fortran_leaf() {
  Node node;
  int size = 0;
  if (chance(40)) {
    CHECKED(MPI_Type_create_f90_real(chance(50) ? 6 : 15, MPI_UNDEFINED, &node.type));
    node.text = "f90_real";
  } else if (chance(50)) {
    CHECKED(MPI_Type_create_f90_complex(chance(50) ? 6 : 15, MPI_UNDEFINED, &node.type));
    node.text = "f90_complex";
    node.mpi_agrees = handles_complex();
  } else {
    CHECKED(MPI_Type_create_f90_integer(chance(50) ? 4 : 9, &node.type));
    node.text = "f90_integer";
  }
  CHECKED(MPI_Type_size(node.type, &size));
  node.map.entries = {{0, size, node.text == "f90_complex" ? size / 2 : size}};
  node.ub = size;
  node.map.inner_ub = node.ub;
  return node;
}

Node Generator::dup(int depth) {
  const Node old = child(depth);
  MPI_Datatype type;
  CHECKED(MPI_Type_dup(old.type, &type));
  Node node = finish(type, old.map, {&old}, "dup(" + old.text + ")");
  node.ub = old.ub;  // a duplicate's padding is that of its original
  node.map.inner_ub = node.ub;
  return node;
}

Node Generator::contiguous(int depth) {
  const Node old = child(depth);
  const std::int64_t count = many(old, 9);
  MPI_Datatype type;
#ifdef HAVE_MPI_TYPE_GET_CONTENTS_C
  if (large())
    CHECKED(MPI_Type_contiguous_c(count, old.type, &type));
  else
#endif
    CHECKED(MPI_Type_contiguous(static_cast<int>(count), old.type, &type));
  return finish(type, copies(old, count, old.extent()), {&old},
                "contiguous(" + std::to_string(count) + "," + old.text + ")");
}

Node Generator::resized(int depth) {
  const Node old = child(depth);
  const std::int64_t low = options_.negative ? pick(-20, 20) : pick(0, 4);
  const std::int64_t span = old.map.true_ub() - old.map.true_lb();
  const std::int64_t extent =
      options_.overlap ? pick(options_.negative ? -20 : 0, 60) : (flip() ? -1 : 1) * (span + pick(0, 9));
  MPI_Datatype type;
#ifdef HAVE_MPI_TYPE_GET_CONTENTS_C
  if (large())
    CHECKED(MPI_Type_create_resized_c(old.type, low, extent, &type));
  else
#endif
    CHECKED(MPI_Type_create_resized(old.type, low, extent, &type));
  TypeMap map = old.map;
  map.lb_marker = low;
  map.ub_marker = low + extent;
  return finish(type, std::move(map), {&old},
                "resized(" + std::to_string(low) + "," + std::to_string(extent) + "," + old.text + ")");
}

RandomType::RandomType(RandomType&& other) noexcept {
  *this = std::move(other);
}

RandomType& RandomType::operator=(RandomType&& other) noexcept {
  std::swap(type, other.type);
  std::swap(map, other.map);
  std::swap(lb, other.lb);
  std::swap(ub, other.ub);
  std::swap(mpi_agrees, other.mpi_agrees);
  std::swap(description, other.description);
  return *this;
}

RandomType::~RandomType() {
  if (type != MPI_DATATYPE_NULL) MPI_Type_free(&type);
}

std::vector<std::int64_t> RandomType::elements(std::int64_t count, std::int64_t at) const {
  return repeated(map, count, extent(), at);
}

RandomType make_random_type(std::mt19937_64& random, const TypeOptions& options) {
  for (;;) {
    Node node = Generator(random, options).make(options.max_depth);
    RandomType made;
    made.map = node.map.offsets();
    if (static_cast<std::int64_t>(made.map.size()) > options.max_bytes) continue;
    if (!options.overlap && has_duplicates(made.map)) continue;
    made.lb = node.lb;
    made.ub = node.ub;
    made.mpi_agrees = node.mpi_agrees;
    made.description = node.text;
    if (node.owned)
      std::swap(made.type, node.type);
    else
      CHECKED(MPI_Type_dup(node.type, &made.type));
    node.owned = false;
    CHECKED(MPI_Type_commit(&made.type));
    return made;
  }
}

std::uint64_t test_seed() {
  const char* text = std::getenv("MPIX_TEST_SEED");
  if (text != nullptr && *text != '\0') return std::strtoull(text, nullptr, 0);
  return std::random_device{}();
}

}  // namespace mpix::test
