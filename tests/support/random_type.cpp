// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/random_type.hpp"

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <stdexcept>
#include <utility>

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "tests/support/type_map.hpp"

namespace mpix::test {
namespace {

using Map = TypeMap;

void check(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char reason[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  if (MPI_Error_string(code, reason, &length) != MPI_SUCCESS) length = 0;
  throw std::runtime_error(std::string(call) + " failed: " + reason);
}
#define CHECKED(call) check(call, #call)

/// A datatype under construction; frees what it owns.
struct Node {
  MPI_Datatype type = MPI_DATATYPE_NULL;
  bool owned = false;
  Map map;
  std::int64_t lb = 0, ub = 0;
  bool mpi_agrees = true;
  std::string text;

  Node() = default;
  Node(Node&& other) noexcept { *this = std::move(other); }
  Node& operator=(Node&& other) noexcept {
    std::swap(type, other.type);
    std::swap(owned, other.owned);
    std::swap(map, other.map);
    std::swap(lb, other.lb);
    std::swap(ub, other.ub);
    std::swap(mpi_agrees, other.mpi_agrees);
    std::swap(text, other.text);
    return *this;
  }
  ~Node() {
    if (owned) MPI_Type_free(&type);
  }
  std::int64_t extent() const { return ub - lb; }
};

/// Interval that `copies` copies of a node cover, the first at 0.
struct Reach {
  std::int64_t low, high;
};

Reach reach(const Node& node, std::int64_t copies) {
  const std::int64_t far = (copies - 1) * node.extent();
  return {std::min<std::int64_t>(0, far) + node.map.true_lb(),
          std::max<std::int64_t>(0, far) + node.map.true_ub()};
}

Map copies(const Node& node, std::int64_t count, std::int64_t stride) {
  Map map;
  for (std::int64_t i = 0; i < count; ++i) map.append(node.map, i * stride);
  return map;
}

template <typename T>
std::string list(const std::vector<T>& values) {
  std::string text = "[";
  for (const T& value : values) text += (text.size() > 1 ? "," : "") + std::to_string(value);
  return text + "]";
}

template <typename To, typename From>
std::vector<To> as(const std::vector<From>& values) {
  std::vector<To> converted;
  for (const From value : values) converted.push_back(static_cast<To>(value));
  return converted;
}

class Generator {
 public:
  Generator(std::mt19937_64& random, const TypeOptions& options) : random_(random), options_(options) {}

  Node make(int depth) {
    if (depth == 0) return leaf();
    constexpr Node (Generator::*constructors[])(int) = {
        &Generator::dup,       &Generator::contiguous, &Generator::vector,        &Generator::hvector,
        &Generator::indexed,   &Generator::hindexed,   &Generator::indexed_block, &Generator::hindexed_block,
        &Generator::structure, &Generator::structure,  &Generator::subarray,      &Generator::darray,
        &Generator::resized};
    return (this->*constructors[pick(0, std::size(constructors) - 1)])(depth);
  }

 private:
  std::int64_t pick(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, std::max(low, high))(random_);
  }
  bool chance(int percent) { return pick(1, 100) <= percent; }
  bool flip() { return options_.negative && chance(35); }
  /// Whether to use the large-count constructor.
  bool large() {
#ifdef HAVE_MPI_TYPE_GET_CONTENTS_C
    return options_.large_counts && chance(30);
#else
    return false;
#endif
  }
  /// Number of copies of `node` to take, so that the type stays within its limit.
  std::int64_t many(const Node& node, std::int64_t most) {
    const std::int64_t fit = options_.max_bytes / std::max<std::int64_t>(1, node.map.bytes());
    return pick(chance(4) ? 0 : 1, std::min(most, std::max<std::int64_t>(1, fit)));
  }
  Node child(int depth) {
    return make(static_cast<int>(pick(std::max(0, depth - 2), depth - 1)));
  }

  Node leaf();
  Node fortran_leaf();
  Node dup(int depth);
  Node contiguous(int depth);
  Node vector(int depth);
  Node hvector(int depth);
  Node indexed(int depth);
  Node hindexed(int depth);
  Node indexed_block(int depth);
  Node hindexed_block(int depth);
  Node structure(int depth);
  Node subarray(int depth);
  Node darray(int depth);
  Node resized(int depth);

  Node finish(MPI_Datatype type, Map map, const std::vector<const Node*>& parts, std::string text);
  /// Displacements, in units of `unit` bytes, for blocks of `lengths` copies.
  std::vector<std::int64_t> places(const Node& node, const std::vector<std::int64_t>& lengths,
                                   std::int64_t unit);

  std::mt19937_64& random_;
  const TypeOptions& options_;
};

/// Whether the MPI sees the same data in `type`, as far as it can be asked.
bool knows_data(MPI_Datatype type, const Map& map) {
  MPI_Count size = 0;
  MPI_Aint true_lb = 0, true_extent = 0;
  CHECKED(MPI_Type_size_x(type, &size));
  CHECKED(MPI_Type_get_true_extent(type, &true_lb, &true_extent));
  if (size != map.bytes()) return false;
  return size == 0 || (true_lb == map.true_lb() && true_lb + true_extent == map.true_ub());
}

/// Takes over `type`, and decides about the padding that the standard leaves to the MPI.
Node Generator::finish(MPI_Datatype type, Map map, const std::vector<const Node*>& parts, std::string text) {
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
    std::vector<Map::Entry> entries;
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

Node Generator::vector(int depth) {
  const Node old = child(depth);
  const std::int64_t length = many(old, 4);
  const std::int64_t count = length == 0 ? 2 : std::max<std::int64_t>(1, many(old, 8) / length);
  std::int64_t stride = pick(0, 6);
  if (!options_.overlap && old.extent() > 0) {
    const Reach one = reach(old, length);
    stride = (one.high - one.low + old.extent() - 1) / old.extent() + pick(0, 2);
  }
  if (flip()) stride = -stride;
  MPI_Datatype type;
#ifdef HAVE_MPI_TYPE_GET_CONTENTS_C
  if (large())
    CHECKED(MPI_Type_vector_c(count, length, stride, old.type, &type));
  else
#endif
    CHECKED(MPI_Type_vector(static_cast<int>(count), static_cast<int>(length), static_cast<int>(stride),
                            old.type, &type));
  Map map;
  const Map block = copies(old, length, old.extent());
  for (std::int64_t i = 0; i < count; ++i) map.append(block, i * stride * old.extent());
  return finish(type, std::move(map), {&old},
                "vector" + list(std::vector{count, length, stride}) + "(" + old.text + ")");
}

Node Generator::hvector(int depth) {
  const Node old = child(depth);
  const std::int64_t length = many(old, 4);
  const std::int64_t count = length == 0 ? 2 : std::max<std::int64_t>(1, many(old, 8) / length);
  const Reach one = reach(old, length);
  std::int64_t stride = options_.overlap ? pick(0, 20) : one.high - one.low + (chance(40) ? 0 : pick(0, 9));
  if (flip()) stride = -stride;
  MPI_Datatype type;
#ifdef HAVE_MPI_TYPE_GET_CONTENTS_C
  if (large())
    CHECKED(MPI_Type_create_hvector_c(count, length, stride, old.type, &type));
  else
#endif
    CHECKED(
        MPI_Type_create_hvector(static_cast<int>(count), static_cast<int>(length), stride, old.type, &type));
  Map map;
  const Map block = copies(old, length, old.extent());
  for (std::int64_t i = 0; i < count; ++i) map.append(block, i * stride);
  return finish(type, std::move(map), {&old},
                "hvector" + list(std::vector{count, length, stride}) + "(" + old.text + ")");
}

std::vector<std::int64_t> Generator::places(const Node& node, const std::vector<std::int64_t>& lengths,
                                            std::int64_t unit) {
  std::vector<std::size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  if (chance(50)) std::shuffle(order.begin(), order.end(), random_);
  std::vector<std::int64_t> at(lengths.size());
  std::int64_t free = options_.negative && chance(40) ? -pick(0, 200) : pick(0, 30);
  const bool even = chance(40);
  for (const std::size_t i : order) {
    if (options_.overlap || unit <= 0) {
      at[i] = options_.negative ? pick(-9, 9) : pick(0, 18);
      continue;
    }
    const Reach one = reach(node, lengths[i]);
    std::int64_t place = free - one.low;
    place = place >= 0 ? (place + unit - 1) / unit : -(-place / unit);
    if (!options_.negative) place = std::max<std::int64_t>(0, place);
    at[i] = place + (even ? 0 : pick(0, 3));
    if (lengths[i] > 0) free = at[i] * unit + one.high;
  }
  return at;
}

void append_blocks(Map& map, const Node& old, const std::vector<std::int64_t>& lengths,
                   const std::vector<std::int64_t>& at, std::int64_t unit) {
  for (std::size_t i = 0; i < at.size(); ++i) map.append(copies(old, lengths[i], old.extent()), at[i] * unit);
}

Node Generator::indexed(int depth) {
  const Node old = child(depth);
  std::vector<std::int64_t> lengths(static_cast<std::size_t>(many(old, 6)));
  const bool equal = chance(40);
  for (std::int64_t& length : lengths) length = equal ? 1 : std::min<std::int64_t>(pick(0, 3), many(old, 3));
  const auto at = places(old, lengths, old.extent());
  Map map;
  append_blocks(map, old, lengths, at, old.extent());
  const auto count = static_cast<int>(at.size());
  MPI_Datatype type;
#ifdef HAVE_MPI_TYPE_GET_CONTENTS_C
  if (large())
    CHECKED(
        MPI_Type_indexed_c(count, as<MPI_Count>(lengths).data(), as<MPI_Count>(at).data(), old.type, &type));
  else
#endif
    CHECKED(MPI_Type_indexed(count, as<int>(lengths).data(), as<int>(at).data(), old.type, &type));
  return finish(type, std::move(map), {&old}, "indexed(" + list(lengths) + list(at) + old.text + ")");
}

Node Generator::hindexed(int depth) {
  const Node old = child(depth);
  std::vector<std::int64_t> lengths(static_cast<std::size_t>(many(old, 6)));
  const bool equal = chance(40);
  for (std::int64_t& length : lengths) length = equal ? 1 : std::min<std::int64_t>(pick(0, 3), many(old, 3));
  const auto at = places(old, lengths, 1);
  Map map;
  append_blocks(map, old, lengths, at, 1);
  const auto count = static_cast<int>(at.size());
  MPI_Datatype type;
#ifdef HAVE_MPI_TYPE_GET_CONTENTS_C
  if (large())
    CHECKED(MPI_Type_create_hindexed_c(count, as<MPI_Count>(lengths).data(), as<MPI_Count>(at).data(),
                                       old.type, &type));
  else
#endif
    CHECKED(
        MPI_Type_create_hindexed(count, as<int>(lengths).data(), as<MPI_Aint>(at).data(), old.type, &type));
  return finish(type, std::move(map), {&old}, "hindexed(" + list(lengths) + list(at) + old.text + ")");
}

Node Generator::indexed_block(int depth) {
  const Node old = child(depth);
  const std::int64_t length =
      chance(5) ? 0 : std::min<std::int64_t>(2, std::max<std::int64_t>(1, many(old, 2)));
  const std::vector<std::int64_t> lengths(static_cast<std::size_t>(many(old, 6)), length);
  const auto at = places(old, lengths, old.extent());
  Map map;
  append_blocks(map, old, lengths, at, old.extent());
  const auto count = static_cast<int>(at.size());
  MPI_Datatype type;
#ifdef HAVE_MPI_TYPE_GET_CONTENTS_C
  if (large())
    CHECKED(MPI_Type_create_indexed_block_c(count, length, as<MPI_Count>(at).data(), old.type, &type));
  else
#endif
    CHECKED(
        MPI_Type_create_indexed_block(count, static_cast<int>(length), as<int>(at).data(), old.type, &type));
  return finish(type, std::move(map), {&old},
                "indexed_block(" + std::to_string(length) + list(at) + old.text + ")");
}

Node Generator::hindexed_block(int depth) {
  const Node old = child(depth);
  const std::int64_t length =
      chance(5) ? 0 : std::min<std::int64_t>(2, std::max<std::int64_t>(1, many(old, 2)));
  const std::vector<std::int64_t> lengths(static_cast<std::size_t>(many(old, 6)), length);
  const auto at = places(old, lengths, 1);
  Map map;
  append_blocks(map, old, lengths, at, 1);
  const auto count = static_cast<int>(at.size());
  MPI_Datatype type;
#ifdef HAVE_MPI_TYPE_GET_CONTENTS_C
  if (large())
    CHECKED(MPI_Type_create_hindexed_block_c(count, length, as<MPI_Count>(at).data(), old.type, &type));
  else
#endif
    CHECKED(MPI_Type_create_hindexed_block(count, static_cast<int>(length), as<MPI_Aint>(at).data(), old.type,
                                           &type));
  return finish(type, std::move(map), {&old},
                "hindexed_block(" + std::to_string(length) + list(at) + old.text + ")");
}

Node Generator::structure(int depth) {
  const auto members = static_cast<std::size_t>(pick(1, 3));
  std::vector<Node> olds;
  std::vector<std::int64_t> lengths, at;
  std::vector<MPI_Datatype> types;
  std::vector<const Node*> parts;
  Map map;
  std::string text = "struct(";
  std::int64_t free = options_.negative && chance(40) ? -pick(0, 100) : 0;
  const std::int64_t align = chance(50) ? 8 : 1;
  for (std::size_t i = 0; i < members; ++i) {
    olds.push_back(child(depth));
    const Node& old = olds.back();
    const std::int64_t room = options_.max_bytes - map.bytes();
    lengths.push_back(old.map.bytes() > room
                          ? 0
                          : std::min(many(old, 3), room / std::max<std::int64_t>(1, old.map.bytes())));
    const Reach one = reach(old, lengths.back());
    std::int64_t place = options_.overlap ? pick(options_.negative ? -40 : 0, 40) : free - one.low;
    while (place % align != 0) ++place;
    at.push_back(place);
    if (lengths.back() > 0) free = place + one.high + (chance(50) ? 0 : pick(0, 9));
    map.append(copies(old, lengths.back(), old.extent()), place);
    types.push_back(old.type);
    text += std::to_string(lengths.back()) + "@" + std::to_string(place) + ":" + old.text + ";";
  }
  for (const Node& old : olds) parts.push_back(&old);
  MPI_Datatype type;
  const auto count = static_cast<int>(members);
#ifdef HAVE_MPI_TYPE_GET_CONTENTS_C
  if (large())
    CHECKED(MPI_Type_create_struct_c(count, as<MPI_Count>(lengths).data(), as<MPI_Count>(at).data(),
                                     types.data(), &type));
  else
#endif
    CHECKED(
        MPI_Type_create_struct(count, as<int>(lengths).data(), as<MPI_Aint>(at).data(), types.data(), &type));
  return finish(type, std::move(map), parts, text + ")");
}

/// Calls `visit` with the index in each dimension for every element of an array, in memory order.
template <typename Visit>
void for_each_element(const std::vector<std::int64_t>& sizes, int order, Visit visit) {
  const std::int64_t total =
      std::accumulate(sizes.begin(), sizes.end(), std::int64_t{1}, std::multiplies<>());
  std::vector<std::int64_t> index(sizes.size());
  for (std::int64_t linear = 0; linear < total; ++linear) {
    std::int64_t rest = linear;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const std::size_t dim = order == MPI_ORDER_C ? sizes.size() - 1 - i : i;  // fastest first
      index[dim] = rest % sizes[dim];
      rest /= sizes[dim];
    }
    visit(linear, index);
  }
}

Node Generator::subarray(int depth) {
  const Node old = child(depth);
  const auto dims = static_cast<std::size_t>(pick(1, 4));
  const int order = chance(50) ? MPI_ORDER_C : MPI_ORDER_FORTRAN;
  std::vector<std::int64_t> sizes, subsizes, starts;
  std::int64_t fit = many(old, 60);
  for (std::size_t i = 0; i < dims; ++i) {
    subsizes.push_back(pick(1, std::min<std::int64_t>(4, fit)));
    fit = std::max<std::int64_t>(1, fit / subsizes.back());
    sizes.push_back(subsizes.back() + (chance(40) ? 0 : pick(0, 2)));
    starts.push_back(pick(0, sizes.back() - subsizes.back()));
  }
  Map map;
  map.lb_marker = 0;
  map.ub_marker =
      std::accumulate(sizes.begin(), sizes.end(), std::int64_t{1}, std::multiplies<>()) * old.extent();
  Map data = old.map;
  data.lb_marker.reset();
  data.ub_marker.reset();
  for_each_element(sizes, order, [&](std::int64_t linear, const std::vector<std::int64_t>& index) {
    for (std::size_t i = 0; i < dims; ++i)
      if (index[i] < starts[i] || index[i] >= starts[i] + subsizes[i]) return;
    map.append(data, linear * old.extent());
  });
  MPI_Datatype type;
  const auto rank = static_cast<int>(dims);
#ifdef HAVE_MPI_TYPE_GET_CONTENTS_C
  if (large())
    CHECKED(MPI_Type_create_subarray_c(rank, as<MPI_Count>(sizes).data(), as<MPI_Count>(subsizes).data(),
                                       as<MPI_Count>(starts).data(), order, old.type, &type));
  else
#endif
    CHECKED(MPI_Type_create_subarray(rank, as<int>(sizes).data(), as<int>(subsizes).data(),
                                     as<int>(starts).data(), order, old.type, &type));
  return finish(type, std::move(map), {&old},
                std::string(order == MPI_ORDER_C ? "subarray_c(" : "subarray_f(") + list(sizes) +
                    list(subsizes) + list(starts) + old.text + ")");
}

Node Generator::darray(int depth) {
  Node old = child(depth);
  if (old.map.entries.empty()) old = leaf();  // Open MPI 4.1 refuses distributed arrays without any data
  const auto dims = static_cast<std::size_t>(pick(1, 3));
  const int order = chance(50) ? MPI_ORDER_C : MPI_ORDER_FORTRAN;
  std::vector<std::int64_t> sizes;
  std::vector<int> kinds, arguments, grid, block;
  std::int64_t fit = many(old, 60);
  int ranks = 1;
  for (std::size_t i = 0; i < dims; ++i) {
    sizes.push_back(pick(1, std::min<std::int64_t>(9, fit)));
    fit = std::max<std::int64_t>(1, fit / sizes.back());
    const auto size = static_cast<int>(sizes.back());
    const auto kind = pick(0, 2);
    kinds.push_back(kind == 0   ? MPI_DISTRIBUTE_NONE
                    : kind == 1 ? MPI_DISTRIBUTE_BLOCK
                                : MPI_DISTRIBUTE_CYCLIC);
    grid.push_back(kind == 0 ? 1 : static_cast<int>(pick(1, 3)));
    const int even = (size + grid.back() - 1) / grid.back();
    const bool preset = kind == 0 || chance(40);
    const int given = static_cast<int>(kind == 1 ? pick(even, even + 2) : pick(1, 4));
    arguments.push_back(preset ? MPI_DISTRIBUTE_DFLT_DARG : given);
    block.push_back(kind == 0 ? size : !preset ? given : kind == 1 ? even : 1);
    ranks *= grid.back();
  }
  const auto rank = static_cast<int>(pick(0, ranks - 1));
  std::vector<std::int64_t> place(dims);
  int rest = rank;
  for (std::size_t i = dims; i-- > 0;) {  // the process grid is in row-major order whatever the array's order
    place[i] = rest % grid[i];
    rest /= grid[i];
  }
  Map map;
  map.lb_marker = 0;
  map.ub_marker =
      std::accumulate(sizes.begin(), sizes.end(), std::int64_t{1}, std::multiplies<>()) * old.extent();
  Map data = old.map;
  data.lb_marker.reset();
  data.ub_marker.reset();
  for_each_element(sizes, order, [&](std::int64_t linear, const std::vector<std::int64_t>& index) {
    for (std::size_t i = 0; i < dims; ++i)
      if (index[i] / block[i] % grid[i] != place[i]) return;
    map.append(data, linear * old.extent());
  });
  MPI_Datatype type;
  const auto rank_dims = static_cast<int>(dims);
#ifdef HAVE_MPI_TYPE_GET_CONTENTS_C
  if (large())
    CHECKED(MPI_Type_create_darray_c(ranks, rank, rank_dims, as<MPI_Count>(sizes).data(), kinds.data(),
                                     arguments.data(), grid.data(), order, old.type, &type));
  else
#endif
    CHECKED(MPI_Type_create_darray(ranks, rank, rank_dims, as<int>(sizes).data(), kinds.data(),
                                   arguments.data(), grid.data(), order, old.type, &type));
  return finish(type, std::move(map), {&old},
                std::string(order == MPI_ORDER_C ? "darray_c(" : "darray_f(") + std::to_string(rank) +
                    list(sizes) + list(kinds) + list(arguments) + list(grid) + old.text + ")");
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
  Map map = old.map;
  map.lb_marker = low;
  map.ub_marker = low + extent;
  return finish(type, std::move(map), {&old},
                "resized(" + std::to_string(low) + "," + std::to_string(extent) + "," + old.text + ")");
}

}  // namespace

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
