// SPDX-License-Identifier: BSD-3-Clause
/// The overlap check against a count of every byte.
#include <gtest/gtest.h>

#include <iostream>
#include <set>

#include "tests/support/random_type.hpp"
#include "tests/support/type_map.hpp"
#include "tests/unit/layout_support.hpp"

namespace mpix::test {
namespace {

bool reports_overlap(const Layout& layout) {
  const Status status = error_of([&] { check_no_overlap(layout); });
  EXPECT_TRUE(status.ok() || status.code() == Code::layout) << status.message();
  return !status.ok();
}

TEST(LayoutOverlap, RandomLayouts) {
  const std::uint64_t seed = test_seed();
  std::cout << "MPIX_TEST_SEED=" << seed << std::endl;
  std::mt19937_64 random(seed);
  int overlaps = 0;
  for (int i = 0; i < 3000; ++i) {
    TypeOptions options;
    options.max_depth = static_cast<int>(random() % 3);
    options.max_bytes = 120;
    options.overlap = random() % 3 == 0;
    const RandomType made = make_random_type(random, options);
    const int npeers = 1 + static_cast<int>(random() % 3);
    std::vector<MPI_Count> counts;
    std::vector<MPI_Aint> displs;
    const std::vector<MPI_Datatype> types(3, made.type);
    std::vector<std::int64_t> bytes;
    for (int peer = 0; peer < npeers; ++peer) {
      counts.push_back(static_cast<MPI_Count>(random() % 3));
      displs.push_back(peer * static_cast<MPI_Aint>(random() % 200));
      const auto mine = made.elements(counts.back(), displs.back());
      bytes.insert(bytes.end(), mine.begin(), mine.end());
    }
    const LayoutRef layout = build_w(npeers, counts.data(), displs.data(), types.data());
    ASSERT_EQ(reports_overlap(*layout), has_duplicates(bytes)) << made.description;
    overlaps += has_duplicates(bytes);
  }
  EXPECT_GT(overlaps, 100);
  EXPECT_LT(overlaps, 2900);
}

/// Column blocks of a matrix: the peers' parts interleave, and listing all runs would take terabytes.
LayoutRef columns(MPI_Aint width, MPI_Aint moved) {
  MPI_Datatype made;
  EXPECT_EQ(MPI_Type_create_hvector(1 << 30, static_cast<int>(width), 4 * width, MPI_BYTE, &made),
            MPI_SUCCESS);
  MPI_Datatype planes;
  EXPECT_EQ(MPI_Type_create_hvector(1 << 10, 1, 4 * width << 30, made, &planes), MPI_SUCCESS);
  EXPECT_EQ(MPI_Type_free(&made), MPI_SUCCESS);
  const OwnedType type(planes);
  const std::vector<MPI_Count> counts(4, 1);
  const std::vector<MPI_Aint> displs = {0, width, 2 * width, 3 * width + moved};
  const std::vector<MPI_Datatype> types(4, type);
  return build_w(4, counts.data(), displs.data(), types.data());
}

TEST(LayoutOverlap, InterleavedPeersAreProvedDisjoint) {
  check_no_overlap(*columns(64, 0));
}

TEST(LayoutOverlap, NamesBothBlocks) {
  const MPI_Count counts[] = {1, 2}, lengths[] = {10, 5, 4};
  const MPI_Aint displs[] = {100, 7, 106};
  const LayoutRef layout = build_hindexed(2, counts, lengths, displs);
  EXPECT_ERROR(check_no_overlap(*layout), Code::layout,
               "bytes 100 to 109 of peer 0 and bytes 106 to 109 of peer 1");
}

}  // namespace
}  // namespace mpix::test
