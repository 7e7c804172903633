// SPDX-License-Identifier: BSD-3-Clause
/// Layouts from lists, the forms that blocks take, and wrong arguments.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <numeric>

#include "tests/support/random_type.hpp"
#include "tests/unit/layout_support.hpp"

namespace mpix::test {
namespace {

using kernels::Form;

constexpr std::int64_t kHuge = std::int64_t{1} << 62;

LayoutRef segments(const std::vector<MPI_Count>& lengths, const std::vector<MPI_Aint>& displs) {
  const auto count = static_cast<MPI_Count>(lengths.size());
  return build_hindexed(1, &count, lengths.data(), displs.data());
}

LayoutRef one(MPI_Datatype type, MPI_Count count = 1, MPI_Count displacement = 0) {
  return build_v(1, &count, &displacement, type);
}

MPI_Datatype subarray(std::vector<int> sizes, std::vector<int> subsizes, std::vector<int> starts,
                      MPI_Datatype old) {
  MPI_Datatype type = MPI_DATATYPE_NULL;
  EXPECT_EQ(MPI_Type_create_subarray(static_cast<int>(sizes.size()), sizes.data(), subsizes.data(),
                                     starts.data(), MPI_ORDER_C, old, &type),
            MPI_SUCCESS);
  return type;
}

TEST(LayoutBuild, NoPeers) {
  const LayoutRef layout = build_v(0, nullptr, nullptr, MPI_INT);
  EXPECT_EQ(layout->npeers(), 0);
  EXPECT_EQ(layout->bytes(), 0);
  EXPECT_EQ(layout->find(0), nullptr);
  EXPECT_EQ(build_w(0, nullptr, nullptr, nullptr)->runs(), 0);
  EXPECT_EQ(build_hindexed(0, nullptr, nullptr, nullptr)->true_ub(), 0);
  EXPECT_EQ(build_indexed_block(0, nullptr, nullptr, MPI_INT)->true_lb(), 0);
}

TEST(LayoutBuild, PeersWithoutBytesTakeNoPart) {
  const std::vector<MPI_Count> counts = {0, 2, 0, 1}, displs = {7, 0, -9, 5};
  const LayoutRef layout = build_v(4, counts.data(), displs.data(), MPI_INT);
  ASSERT_EQ(layout->parts().size(), 2u);
  EXPECT_EQ(layout->parts()[0].peer, 1);
  EXPECT_EQ(layout->find(0), nullptr);
  EXPECT_EQ(layout->find(2), nullptr);
  EXPECT_EQ(layout->find(-1), nullptr);
  EXPECT_EQ(layout->find(4), nullptr);
  EXPECT_EQ(layout->find(3)->offset, 20);
  EXPECT_EQ(layout->bytes(), 12);
  EXPECT_EQ(layout->true_lb(), 0);
  EXPECT_EQ(layout->true_ub(), 24);
}

TEST(LayoutBuild, SerialsDiffer) {
  EXPECT_NE(one(MPI_INT)->serial(), one(MPI_INT)->serial());
}

TEST(LayoutBuild, LargeSubarrayIsAFewWords) {
  const OwnedType type(subarray({512, 512, 512}, {200, 300, 400}, {1, 2, 3}, MPI_DOUBLE));
  const LayoutRef layout = one(type, 3, -1);
  const kernels::Blocks& blocks = *layout->find(0);
  EXPECT_EQ(blocks.form, Form::strided);
  EXPECT_EQ(blocks.ndims, 3);
  EXPECT_EQ(blocks.run, 3200);
  EXPECT_EQ(blocks.nruns, 3 * 200 * 300);
  EXPECT_LT(layout->memory(), 1000);
  check_no_overlap(*layout);
}

TEST(LayoutBuild, WholeArraysFoldToOneRun) {
  const OwnedType cube(subarray({512, 512, 512}, {512, 512, 512}, {0, 0, 0}, MPI_DOUBLE));
  EXPECT_EQ(one(cube, 4)->find(0)->nruns, 1);
  const OwnedType slab(subarray({512, 512, 512}, {512, 7, 512}, {0, 5, 0}, MPI_DOUBLE));
  const kernels::Blocks blocks = *one(slab, 4)->find(0);
  EXPECT_EQ(blocks.ndims, 1);
  EXPECT_EQ(blocks.nruns, 4 * 512);
  EXPECT_EQ(blocks.run, 7 * 512 * 8);
}

TEST(LayoutBuild, NestedVectorsStaySymbolic) {
  MPI_Datatype inner, outer;
  ASSERT_EQ(MPI_Type_vector(1 << 20, 1, 2, MPI_DOUBLE, &inner), MPI_SUCCESS);
  ASSERT_EQ(MPI_Type_create_hvector(1 << 20, 1, std::int64_t{1} << 25, inner, &outer), MPI_SUCCESS);
  ASSERT_EQ(MPI_Type_free(&inner), MPI_SUCCESS);
  const OwnedType type(outer);
  const LayoutRef layout = one(type);
  EXPECT_EQ(layout->runs(), std::int64_t{1} << 40);
  EXPECT_LT(layout->memory(), 1000);
  check_no_overlap(*layout);
}

TEST(LayoutBuild, MoreDimensionsThanKeptAreListed) {
  MPI_Datatype type = MPI_BYTE;
  std::int64_t stride = 2;
  std::vector<std::int64_t> expected = {0};
  for (int dim = 0; dim < kernels::kMaxDims + 1; ++dim, stride *= 3) {
    MPI_Datatype next;
    ASSERT_EQ(MPI_Type_create_hvector(2, 1, stride, type, &next), MPI_SUCCESS);
    if (dim > 0) {
      ASSERT_EQ(MPI_Type_free(&type), MPI_SUCCESS);
    }
    type = next;
    std::vector<std::int64_t> twice = expected;
    for (const std::int64_t offset : expected) twice.push_back(offset + stride);
    expected = twice;
  }
  const OwnedType owned(type);
  const LayoutRef layout = one(owned);
  EXPECT_EQ(layout->find(0)->form, Form::indexed);
  EXPECT_EQ(bytes_of(*layout, 0), expected);
}

MPI_Datatype resized_run(int bytes, MPI_Aint extent) {
  MPI_Datatype run = MPI_DATATYPE_NULL, type = MPI_DATATYPE_NULL;
  EXPECT_EQ(MPI_Type_contiguous(bytes, MPI_BYTE, &run), MPI_SUCCESS);
  EXPECT_EQ(MPI_Type_create_resized(run, 0, extent, &type), MPI_SUCCESS);
  EXPECT_EQ(MPI_Type_free(&run), MPI_SUCCESS);
  return type;
}

/// What build_indexed_on_gpu asks a GPU for, on the host.
struct FakeGpu {
  std::vector<MPI_Count> indices;
  int made = 0, read = 0;

  GpuList list(std::int64_t count, std::int64_t extent) {
    ++made;
    EXPECT_EQ(count, static_cast<std::int64_t>(indices.size()));
    GpuList list;
    list.offsets = {reinterpret_cast<const std::int64_t*>(4096), 8, 3};
    list.least = *std::min_element(indices.begin(), indices.end());
    list.most = *std::max_element(indices.begin(), indices.end());
    list.read = [this, extent](std::span<std::int64_t> to) {
      ++read;
      ASSERT_EQ(to.size(), indices.size());
      for (std::size_t i = 0; i < to.size(); ++i) to[i] = indices[i] * extent;
    };
    return list;
  }
  LayoutRef build(const std::vector<MPI_Count>& counts, MPI_Datatype block) {
    return build_indexed_on_gpu(
        static_cast<int>(counts.size()), counts.data(), block,
        [this](std::int64_t count, std::int64_t extent) { return list(count, extent); });
  }
};

TEST(LayoutBuild, ListsOfAGpuStayThereUntilTheHostNeedsThem) {
  const std::vector<MPI_Count> counts = {3, 0, 1, 2};
  for (const MPI_Aint extent : {200, -200, 7}) {
    FakeGpu gpu{{5, -1, 5, 0, 9, 2}};
    const OwnedType block(resized_run(100, extent));
    const LayoutRef layout = gpu.build(counts, block);
    const LayoutRef expected = build_indexed_block(4, counts.data(), gpu.indices.data(), block);
    ASSERT_NE(layout, nullptr);
    EXPECT_EQ(layout->gpu(), 3);
    EXPECT_FALSE(layout->listed_on_host());
    EXPECT_EQ(layout->bytes(), 600);
    EXPECT_EQ(layout->runs(), 6);
    EXPECT_EQ(layout->true_lb(), expected->true_lb());
    EXPECT_EQ(layout->true_ub(), expected->true_ub());
    const std::int64_t memory = layout->memory();
    const kernels::Blocks* const last = layout->find(3);
    EXPECT_EQ(last->offsets, nullptr);
    EXPECT_EQ(last->on_gpu->offsets, reinterpret_cast<const std::int64_t*>(4096) + 4);
    EXPECT_EQ(gpu.read, 0);
    layout->list_on_host();
    layout->list_on_host();
    EXPECT_EQ(gpu.read, 1);
    EXPECT_EQ(gpu.made, 1);
    EXPECT_TRUE(layout->listed_on_host());
    EXPECT_EQ(layout->find(3), last);
    for (int peer = 0; peer < 4; ++peer) EXPECT_EQ(bytes_of(*layout, peer), bytes_of(*expected, peer));
    EXPECT_GE(layout->memory(), memory + 48);
  }
}

TEST(LayoutBuild, ListsThatAreBetterMadeOnTheHost) {
  FakeGpu gpu{{5, 7}};
  EXPECT_EQ(gpu.build({0, 0}, OwnedType(resized_run(100, 100))), nullptr);
  EXPECT_EQ(gpu.build({2}, OwnedType(resized_run(63, 100))), nullptr);
  EXPECT_EQ(gpu.build({2}, OwnedType(subarray({4, 200}, {4, 100}, {0, 0}, MPI_BYTE))), nullptr);
  EXPECT_EQ(gpu.made, 0);
  gpu.indices = {1, kHuge};
  EXPECT_EQ(gpu.build({2}, OwnedType(resized_run(100, 100))), nullptr);
  EXPECT_EQ(gpu.build({kHuge}, OwnedType(resized_run(100, 100))), nullptr);
  EXPECT_ERROR(gpu.build({-1}, MPI_INT), Code::count, "counts[0] is -1");
  EXPECT_ERROR(gpu.build({1}, MPI_DATATYPE_NULL), Code::type, "block");
}

TEST(LayoutBuild, NeighboursMerge) {
  const LayoutRef whole = segments({4, 4, 8, 1}, {0, 4, 8, 16});
  EXPECT_EQ(whole->find(0)->form, Form::strided);
  EXPECT_EQ(whole->find(0)->run, 17);
  const LayoutRef pairs = segments({4, 4, 4, 4, 8}, {0, 4, 100, 104, 300});
  EXPECT_EQ(pairs->find(0)->form, Form::indexed);
  EXPECT_EQ(pairs->find(0)->run, 8);
  EXPECT_EQ(pairs->find(0)->nruns, 3);
  const LayoutRef progression = segments({2, 2, 0, 4, 3, 1}, {0, 2, 50, 10, 20, 23});
  EXPECT_EQ(progression->find(0)->form, Form::strided);
  EXPECT_EQ(progression->find(0)->nruns, 3);
}

TEST(LayoutBuild, MergedNeighboursBecomeSegmentsOnlyIfSmaller) {
  const std::vector<MPI_Count> equal(8, 4);
  EXPECT_EQ(segments(equal, {0, 4, 8, 100, 104, 108, 112, 200})->find(0)->form, Form::segments);
  EXPECT_EQ(segments(equal, {0, 4, 50, 60, 80, 90, 110, 200})->find(0)->form, Form::indexed);
}

TEST(LayoutBuild, ProgressionsAreStrided) {
  const MPI_Count count = 5;
  const std::vector<MPI_Count> down = {9, 6, 3, 0, -3}, same(5, 4), broken = {0, 2, 4, 6, 9};
  const kernels::Blocks falling = *build_indexed_block(1, &count, down.data(), MPI_INT)->find(0);
  EXPECT_EQ(falling.form, Form::strided);
  EXPECT_EQ(falling.offset, 36);
  const LayoutRef repeats = build_indexed_block(1, &count, same.data(), MPI_INT);
  EXPECT_EQ(repeats->find(0)->form, Form::strided);
  EXPECT_EQ(repeats->bytes(), 20);
  EXPECT_EQ(build_indexed_block(1, &count, broken.data(), MPI_INT)->find(0)->form, Form::indexed);
}

TEST(LayoutBuild, PeersShareOneArray) {
  MPI_Datatype made;
  const int lengths[] = {1, 2, 1}, displs[] = {0, 3, 9};
  ASSERT_EQ(MPI_Type_indexed(3, lengths, displs, MPI_INT, &made), MPI_SUCCESS);
  const OwnedType type(made);
  const std::vector<MPI_Count> counts(100, 50);
  std::vector<MPI_Count> places(100);
  std::iota(places.begin(), places.end(), 0);
  const LayoutRef layout = build_v(100, counts.data(), places.data(), type);
  EXPECT_EQ(layout->find(0)->offsets, layout->find(99)->offsets);
  EXPECT_LT(layout->memory(), 50 * 3 * 16 + 100 * static_cast<int>(sizeof(PeerBlocks)) + 1000);
}

std::vector<MPI_Count> shuffled(std::int64_t count) {
  std::vector<MPI_Count> indices(static_cast<std::size_t>(count));
  std::iota(indices.begin(), indices.end(), 0);
  std::mt19937_64 random(5);
  std::shuffle(indices.begin(), indices.end(), random);
  return indices;
}

TEST(LayoutBuild, MillionBlocksInOneAllocation) {
  constexpr std::int64_t kBlocks = 1'000'000;
  MPI_Datatype made;
  ASSERT_EQ(MPI_Type_contiguous(64, MPI_BYTE, &made), MPI_SUCCESS);
  const OwnedType row(made);
  const std::vector<MPI_Count> indices = shuffled(kBlocks), counts(8, kBlocks / 8), lengths(kBlocks, 64);
  std::vector<MPI_Aint> displs;
  for (const MPI_Count index : indices) displs.push_back(index * 64);
  for (int round = 0; round < 3; ++round) {
    const auto start = std::chrono::steady_clock::now();
    const LayoutRef layout = build_indexed_block(8, counts.data(), indices.data(), row);
    const auto middle = std::chrono::steady_clock::now();
    const LayoutRef same = build_hindexed(8, counts.data(), lengths.data(), displs.data());
    const auto end = std::chrono::steady_clock::now();
    std::cout << "a million rows: by index "
              << std::chrono::duration<double, std::milli>(middle - start).count() << " ms, as segments "
              << std::chrono::duration<double, std::milli>(end - middle).count() << " ms\n";
    EXPECT_EQ(layout->runs() * 64, layout->bytes());
    EXPECT_LT(layout->memory(), kBlocks * 8 + 4096);
    EXPECT_LT(same->memory(), kBlocks * 8 + 4096);
    check_no_overlap(*layout);
  }
}

TEST(LayoutBuild, RandomSegments) {
  const std::uint64_t seed = test_seed();
  std::cout << "MPIX_TEST_SEED=" << seed << std::endl;
  std::mt19937_64 random(seed);
  const auto pick = [&](std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random);
  };
  for (int i = 0; i < 5000; ++i) {
    std::vector<MPI_Count> counts, lengths;
    std::vector<MPI_Aint> displs;
    std::vector<std::vector<std::int64_t>> expected(static_cast<std::size_t>(pick(1, 4)));
    const std::int64_t longest = pick(1, 3);
    for (auto& bytes : expected) {
      counts.push_back(pick(0, 12));
      std::int64_t next = pick(-50, 50);
      for (MPI_Count k = 0; k < counts.back(); ++k) {
        lengths.push_back(pick(pick(0, 3) == 0 ? 0 : 1, longest));
        displs.push_back(static_cast<MPI_Aint>(next));
        for (MPI_Count byte = 0; byte < lengths.back(); ++byte) bytes.push_back(next + byte);
        next = pick(0, 1) == 0 ? next + lengths.back() : pick(0, 1) == 0 ? next + 5 : pick(-50, 50);
      }
    }
    const auto npeers = static_cast<int>(counts.size());
    const LayoutRef layout = build_hindexed(npeers, counts.data(), lengths.data(), displs.data());
    for (int peer = 0; peer < npeers; ++peer) {
      ASSERT_EQ(bytes_of(*layout, peer), expected[static_cast<std::size_t>(peer)]);
      if (layout->find(peer) != nullptr) expect_canonical(*layout->find(peer));
    }
  }
}

TEST(LayoutErrors, NameTheArgumentThePeerAndTheValue) {
  const MPI_Count counts[] = {1, -5}, ones[] = {1, 1}, negative[] = {4, -2};
  const MPI_Aint displs[] = {0, 0};
  const MPI_Datatype types[] = {MPI_INT, MPI_DATATYPE_NULL};
  EXPECT_ERROR(build_v(-1, ones, ones, MPI_INT), Code::argument, "npeers is -1");
  EXPECT_ERROR(build_v(2, nullptr, ones, MPI_INT), Code::argument, "counts");
  EXPECT_ERROR(build_v(2, ones, nullptr, MPI_INT), Code::argument, "displs");
  EXPECT_ERROR(build_v(2, counts, ones, MPI_INT), Code::count, "counts[1] is -5");
  EXPECT_ERROR(build_v(2, ones, ones, MPI_DATATYPE_NULL), Code::type, "type is MPI_DATATYPE_NULL");
  EXPECT_ERROR(build_w(2, ones, displs, types), Code::type, "types[1] is MPI_DATATYPE_NULL");
  EXPECT_ERROR(build_w(2, ones, displs, nullptr), Code::argument, "types");
  EXPECT_ERROR(build_indexed_block(2, ones, nullptr, MPI_INT), Code::argument, "indices");
  EXPECT_ERROR(build_indexed_block(2, counts, ones, MPI_INT), Code::count, "counts[1] is -5");
  EXPECT_ERROR(build_indexed_block(2, ones, ones, MPI_DATATYPE_NULL), Code::type, "block");
  EXPECT_ERROR(build_hindexed(2, ones, nullptr, displs), Code::argument, "lengths");
  EXPECT_ERROR(build_hindexed(2, ones, ones, nullptr), Code::argument, "displs");
  EXPECT_ERROR(build_hindexed(2, ones, negative, displs), Code::count, "peer 1: segment 0 is -2");
}

TEST(LayoutErrors, OffsetsBeyond64Bits) {
  const MPI_Count ones[] = {1}, far[] = {kHuge}, two[] = {2}, apart[] = {-kHuge, kHuge};
  const MPI_Aint end[] = {INT64_MAX - 3};
  const MPI_Count length[] = {8};
  EXPECT_ERROR(build_v(1, ones, far, MPI_INT), Code::count, "displs[0] = 4611686018427387904");
  EXPECT_ERROR(build_v(1, far, ones, MPI_INT), Code::count, "counts[0] = 4611686018427387904");
  EXPECT_ERROR(build_indexed_block(1, ones, far, MPI_INT), Code::argument,
               "peer 0: 4611686018427387904 times");
  EXPECT_ERROR(build_indexed_block(1, two, apart, MPI_BYTE), Code::argument, "peer 0");
  EXPECT_ERROR(build_hindexed(1, ones, length, end), Code::argument, "peer 0: segment 0 of 8 bytes");
  const MPI_Count many[] = {kHuge, kHuge};
  EXPECT_ERROR(build_hindexed(2, many, length, end), Code::count, "counts[1]");
}

TEST(LayoutErrors, ListsThatDoNotFitMemory) {
  MPI_Datatype made;
  const int lengths[] = {1, 2, 1}, displs[] = {0, 3, 9};
  ASSERT_EQ(MPI_Type_indexed(3, lengths, displs, MPI_INT, &made), MPI_SUCCESS);
  const OwnedType type(made);
  EXPECT_ERROR(one(type, std::int64_t{1} << 50), Code::no_memory, "does not fit memory");
}

}  // namespace
}  // namespace mpix::test
