// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/type_generator.hpp"

#include <numeric>

namespace mpix::test {

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
  TypeMap map;
  const TypeMap block = copies(old, length, old.extent());
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
  TypeMap map;
  const TypeMap block = copies(old, length, old.extent());
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

namespace {

void append_blocks(TypeMap& map, const Node& old, const std::vector<std::int64_t>& lengths,
                   const std::vector<std::int64_t>& at, std::int64_t unit) {
  for (std::size_t i = 0; i < at.size(); ++i) map.append(copies(old, lengths[i], old.extent()), at[i] * unit);
}

}  // namespace

Node Generator::indexed(int depth) {
  const Node old = child(depth);
  std::vector<std::int64_t> lengths(static_cast<std::size_t>(many(old, 6)));
  const bool equal = chance(40);
  for (std::int64_t& length : lengths) length = equal ? 1 : std::min<std::int64_t>(pick(0, 3), many(old, 3));
  const auto at = places(old, lengths, old.extent());
  TypeMap map;
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
  TypeMap map;
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
  TypeMap map;
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
  TypeMap map;
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
  TypeMap map;
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

}  // namespace mpix::test
