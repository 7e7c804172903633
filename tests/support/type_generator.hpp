// SPDX-License-Identifier: BSD-3-Clause
/// Inside of the random datatype generator; tests use random_type.hpp.
#pragma once

#include <mpi.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "tests/support/random_type.hpp"
#include "tests/support/type_map.hpp"

namespace mpix::test {

inline void check_mpi_call(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char reason[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  if (MPI_Error_string(code, reason, &length) != MPI_SUCCESS) length = 0;
  throw std::runtime_error(std::string(call) + " failed: " + reason);
}
#define CHECKED(call) check_mpi_call(call, #call)

/// A datatype under construction; frees what it owns.
struct Node {
  MPI_Datatype type = MPI_DATATYPE_NULL;
  bool owned = false;
  TypeMap map;
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
Reach reach(const Node& node, std::int64_t copies);

TypeMap copies(const Node& node, std::int64_t count, std::int64_t stride);

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

  Node finish(MPI_Datatype type, TypeMap map, const std::vector<const Node*>& parts, std::string text);
  /// Displacements, in units of `unit` bytes, for blocks of `lengths` copies.
  std::vector<std::int64_t> places(const Node& node, const std::vector<std::int64_t>& lengths,
                                   std::int64_t unit);

  std::mt19937_64& random_;
  const TypeOptions& options_;
};

}  // namespace mpix::test
