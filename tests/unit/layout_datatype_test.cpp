// SPDX-License-Identifier: BSD-3-Clause
/// Random nested datatypes against the type maps that the standard gives them.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>

#include "tests/support/random_type.hpp"
#include "tests/support/type_map.hpp"
#include "tests/unit/layout_support.hpp"

namespace mpix::test {
namespace {

constexpr int kCases = 4000;

std::uint64_t seed() {
  static const std::uint64_t value = [] {
    const std::uint64_t chosen = test_seed();
    std::cout << "MPIX_TEST_SEED=" << chosen << std::endl;
    return chosen;
  }();
  return value;
}

std::int64_t pick(std::mt19937_64& random, std::int64_t low, std::int64_t high) {
  return std::uniform_int_distribution<std::int64_t>(low, high)(random);
}

void check_type(const RandomType& made, std::mt19937_64& random) {
  const MPI_Count count = pick(random, 1, 4), displacement = pick(random, -3, 3);
  const LayoutRef layout = build_v(1, &count, &displacement, made.type);
  const auto expected = made.elements(count, displacement * made.extent());
  ASSERT_EQ(bytes_of(*layout, 0), expected);
  if (expected.empty()) {
    ASSERT_EQ(layout->find(0), nullptr);
    return;
  }
  expect_canonical(*layout->find(0));
  ASSERT_EQ(layout->true_lb(), *std::min_element(expected.begin(), expected.end()));
  ASSERT_EQ(layout->true_ub(), *std::max_element(expected.begin(), expected.end()) + 1);
  ASSERT_EQ(layout->bytes(), static_cast<std::int64_t>(expected.size()));
}

/// The MPI's own packing as a second opinion.
void check_pack(const RandomType& made) {
  if (!made.mpi_agrees || made.map.empty()) return;
  const int count = has_duplicates(made.elements(2)) ? 1 : 2;
  const auto expected = made.elements(count);
  const auto [low, high] = std::minmax_element(expected.begin(), expected.end());
  std::vector<unsigned char> memory(static_cast<std::size_t>(*high - *low + 1)), packed(expected.size());
  std::mt19937 noise(7);
  for (unsigned char& byte : memory) byte = static_cast<unsigned char>(noise());
  int position = 0;
  // The address of the first element may lie outside the memory, as with negative lower bounds.
  const auto base = reinterpret_cast<std::uintptr_t>(memory.data()) - static_cast<std::uintptr_t>(*low);
  ASSERT_EQ(MPI_Pack(reinterpret_cast<const void*>(base), count, made.type, packed.data(),
                     static_cast<int>(packed.size()), &position, MPI_COMM_SELF),
            MPI_SUCCESS);
  ASSERT_EQ(position, static_cast<int>(packed.size()));
  for (std::size_t i = 0; i < expected.size(); ++i)
    ASSERT_EQ(packed[i], memory[static_cast<std::size_t>(expected[i] - *low)]) << "byte " << i;
}

void check_many(const TypeOptions& options, std::uint64_t salt, bool pack) {
  std::mt19937_64 random(seed() + salt);
  int agree = 0;
  for (int i = 0; i < kCases && !::testing::Test::HasFailure(); ++i) {
    const RandomType made = make_random_type(random, options);
    SCOPED_TRACE(made.description);
    agree += made.mpi_agrees;
    check_type(made, random);
    if (pack) check_pack(made);
  }
  std::cout << "the MPI agrees with the standard's bounds for " << agree << " of " << kCases << " types\n";
}

TEST(LayoutDatatype, RandomTypes) {
  check_many({}, 1, true);
}

TEST(LayoutDatatype, RandomTypesWithoutNegativeOffsets) {
  TypeOptions options;
  options.negative = false;
  check_many(options, 2, true);
}

TEST(LayoutDatatype, RandomOverlappingTypes) {
  TypeOptions options;
  options.overlap = options.long_double = true;
  check_many(options, 3, false);
}

TEST(LayoutDatatype, DeepTypes) {
  TypeOptions options;
  options.max_depth = 8;
  options.long_double = true;
  options.max_bytes = 20000;
  check_many(options, 4, false);
}

TEST(LayoutDatatype, TypesOfEachPeer) {
  std::mt19937_64 random(seed() + 5);
  for (int i = 0; i < 300; ++i) {
    const int npeers = static_cast<int>(pick(random, 1, 9));
    std::vector<RandomType> made;
    for (int j = 0; j < 3; ++j) made.push_back(make_random_type(random));
    std::vector<MPI_Count> counts;
    std::vector<MPI_Aint> displs;
    std::vector<MPI_Datatype> types;
    std::vector<std::size_t> which;
    for (int peer = 0; peer < npeers; ++peer) {
      which.push_back(static_cast<std::size_t>(pick(random, 0, 2)));
      counts.push_back(pick(random, 0, 3));
      displs.push_back(pick(random, -50, 50));
      types.push_back(counts.back() == 0 ? MPI_DATATYPE_NULL : made[which.back()].type);
    }
    const LayoutRef layout = build_w(npeers, counts.data(), displs.data(), types.data());
    std::int64_t bytes = 0;
    for (int peer = 0; peer < npeers; ++peer) {
      const auto p = static_cast<std::size_t>(peer);
      const auto expected = made[which[p]].elements(counts[p], displs[p]);
      ASSERT_EQ(bytes_of(*layout, peer), expected) << made[which[p]].description;
      bytes += static_cast<std::int64_t>(expected.size());
    }
    ASSERT_EQ(layout->bytes(), bytes);
    ASSERT_EQ(layout->npeers(), npeers);
  }
}

TEST(LayoutDatatype, IndicesOfRandomBlocks) {
  std::mt19937_64 random(seed() + 6);
  for (int i = 0; i < 2000; ++i) {
    TypeOptions options;
    options.max_depth = static_cast<int>(pick(random, 0, 3));
    options.max_bytes = 200;
    const RandomType made = make_random_type(random, options);
    SCOPED_TRACE(made.description);
    const int npeers = static_cast<int>(pick(random, 1, 5));
    std::vector<MPI_Count> counts, indices;
    for (int peer = 0; peer < npeers; ++peer) {
      counts.push_back(pick(random, 0, 6));
      const std::int64_t first = pick(random, -20, 20), step = pick(random, -3, 3);
      const auto kind = pick(random, 0, 2);
      for (int k = 0; k < counts.back(); ++k)
        indices.push_back(kind == 0   ? first + k * step
                          : kind == 1 ? pick(random, -20, 20)
                                      : first + k + (k > 2));
    }
    const LayoutRef layout = build_indexed_block(npeers, counts.data(), indices.data(), made.type);
    auto next = indices.begin();
    for (int peer = 0; peer < npeers; ++peer) {
      std::vector<std::int64_t> expected;
      for (MPI_Count k = 0; k < counts[static_cast<std::size_t>(peer)]; ++k) {
        const auto block = made.elements(1, *next++ * made.extent());
        expected.insert(expected.end(), block.begin(), block.end());
      }
      ASSERT_EQ(bytes_of(*layout, peer), expected);
      if (!expected.empty()) expect_canonical(*layout->find(peer));
    }
  }
}

#if MPI_VERSION > 4 || (MPI_VERSION == 4 && MPI_SUBVERSION >= 1)
TEST(LayoutDatatype, ValueAndIndexPairs) {
  struct Pair {
    short value;
    std::int64_t index;
  };
  MPI_Datatype pair;
  ASSERT_EQ(MPI_Type_get_value_index(MPI_SHORT, MPI_INT64_T, &pair), MPI_SUCCESS);
  if (pair == MPI_DATATYPE_NULL) GTEST_SKIP() << "this MPI has no such pair";
  const MPI_Count count = 2, displacement = 0;
  const LayoutRef layout = build_v(1, &count, &displacement, pair);
  std::vector<std::int64_t> expected;
  for (std::int64_t at : {0, 1}) {
    for (std::int64_t byte = 0; byte < 2; ++byte) expected.push_back(at * std::int64_t{sizeof(Pair)} + byte);
    for (std::int64_t byte = 8; byte < 16; ++byte) expected.push_back(at * std::int64_t{sizeof(Pair)} + byte);
  }
  EXPECT_EQ(bytes_of(*layout, 0), expected);
}
#endif

}  // namespace
}  // namespace mpix::test
