// SPDX-License-Identifier: BSD-3-Clause
// Memory for lists: pieces that do not overlap, of allocations that are used again.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <vector>

#include "device/cuda/list_memory.hpp"
#include "tests/support/rng.hpp"
#include "tests/unit/device_support.hpp"

namespace mpix::device::testing {
namespace {

using cuda::ListMemory;

std::uint64_t seed() {
  const char* const value = std::getenv("MPIX_TEST_SEED");
  return value != nullptr && *value != '\0' ? std::strtoull(value, nullptr, 0)
                                            : std::random_device()() % 1000000;
}

class DeviceListMemory : public ::testing::Test {
 protected:
  using Piece = std::shared_ptr<const ListMemory::Piece>;
  void SetUp() override {
    application();
    context = CudaContext::primary(CudaDriver::load(driver_name()), 0);
  }
  CudaContextPointer context;
  ListMemory memory{std::make_shared<cuda::Disposal>()};
};

TEST_F(DeviceListMemory, PiecesDoNotOverlap) {
  const std::uint64_t used = seed();
  test::Rng rng(used);
  std::map<const std::byte*, std::size_t> taken;  // bytes by where they begin
  std::vector<Piece> pieces;
  for (int step = 0; step < 3000; ++step) {
    if (!pieces.empty() && rng.chance(48)) {
      std::swap(pieces[rng.index(pieces.size())], pieces.back());
      taken.erase(pieces.back()->data());
      pieces.pop_back();
      continue;
    }
    const auto bytes =
        static_cast<std::size_t>(rng.magnitude(static_cast<std::int64_t>(ListMemory::kSlab)) + 1);
    pieces.push_back(memory.take(context, bytes));
    const std::byte* const data = pieces.back()->data();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data) % ListMemory::kAlignment, 0u);
    const auto next = taken.lower_bound(data);
    ASSERT_TRUE(next == taken.end() || data + bytes <= next->first) << "MPIX_TEST_SEED=" << used;
    ASSERT_TRUE(next == taken.begin() || std::prev(next)->first + std::prev(next)->second <= data)
        << "MPIX_TEST_SEED=" << used;
    taken.emplace(data, bytes);
  }
}

TEST_F(DeviceListMemory, WhatWasGivenBackIsJoinedAndUsedAgain) {
  constexpr std::size_t kEighth = ListMemory::kSlab / 8;
  for (const std::vector<std::size_t>& order : {std::vector<std::size_t>{0, 1, 2, 3, 4, 5, 6, 7},
                                                {7, 6, 5, 4, 3, 2, 1, 0},
                                                {1, 3, 5, 7, 0, 2, 4, 6}}) {
    std::vector<Piece> pieces;
    for (int i = 0; i < 8; ++i) pieces.push_back(memory.take(context, kEighth));
    const std::byte* const first = pieces.front()->data();
    for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(pieces[i]->data(), first + i * kEighth);
    for (const std::size_t i : order) pieces[i].reset();
    const Piece halves[] = {memory.take(context, 4 * kEighth), memory.take(context, 4 * kEighth)};
    EXPECT_EQ(halves[0]->data(), first);
    EXPECT_EQ(halves[1]->data(), first + 4 * kEighth);
  }
}

}  // namespace
}  // namespace mpix::device::testing
