// SPDX-License-Identifier: BSD-3-Clause
// What is kept to hand parts out again stays within its bound, and makes room for what is used.
#include "engine/kept_parts.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace mpix::engine {
namespace {

constexpr std::size_t kEntries = 100;
constexpr std::uint64_t kLater = KeptParts::kUnused + 1;

/// The memory that such a part counts.
std::int64_t cost() {
  KeptParts parts(1, std::int64_t{1} << 30);
  KeptPart part;
  EXPECT_TRUE(parts.begin(part, 1, 1, kEntries));
  return parts.bytes();
}

TEST(KeptParts, WhatIsUsedKeepsItsPlace) {
  KeptParts parts(1, 2 * cost() + 1);
  KeptPart used, unused, third;
  ASSERT_TRUE(parts.begin(used, 1, 1, kEntries));
  used.set_complete();
  ASSERT_TRUE(parts.begin(unused, 1, 1, kEntries));
  unused.set_complete();
  EXPECT_FALSE(parts.begin(third, 2, 1, kEntries)) << "both were used of late";
  parts.use(used, kLater);
  ASSERT_TRUE(parts.begin(third, 1 + kLater, 1, kEntries));
  EXPECT_TRUE(used.complete());
  EXPECT_FALSE(unused.complete());
  EXPECT_EQ(parts.bytes(), 2 * cost());
}

TEST(KeptParts, WhatIsBeingHandedOutStays) {
  KeptParts parts(1, cost());
  KeptPart busy, other;
  ASSERT_TRUE(parts.begin(busy, 1, 1, kEntries));
  busy.set_busy(true);
  EXPECT_FALSE(parts.begin(other, 1 + kLater, 1, kEntries));
  busy.set_busy(false);
  EXPECT_TRUE(parts.begin(other, 1 + kLater, 1, kEntries));
}

TEST(KeptParts, MoreThanThereIsRoomForInAll) {
  KeptParts parts(1, cost() - 1);
  KeptPart part;
  EXPECT_FALSE(parts.begin(part, 1, 1, kEntries));
  EXPECT_EQ(parts.bytes(), 0);
}

TEST(KeptParts, NumbersComeBackWithThePackets) {
  KeptParts parts(2, 10 * cost());
  {
    KeptPart part;
    ASSERT_TRUE(parts.begin(part, 1, 1, kEntries));
    for (std::uint32_t number = 1; number <= 3; ++number) {
      ASSERT_EQ(parts.numbers(0).take(), number);
      part.add(KeptPacket(0, parts.numbers(0), number));
    }
    EXPECT_EQ(parts.numbers(1).take(), 1u) << "each rank's are its own";
  }
  EXPECT_EQ(parts.bytes(), 0) << "the part is gone";
  std::vector<std::uint32_t> again;
  for (int i = 0; i < 4; ++i) again.push_back(parts.numbers(0).take());
  std::sort(again.begin(), again.end());
  EXPECT_EQ(again, (std::vector<std::uint32_t>{1, 2, 3, 4}));
}

}  // namespace
}  // namespace mpix::engine
