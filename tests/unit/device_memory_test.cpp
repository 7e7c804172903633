// SPDX-License-Identifier: BSD-3-Clause
// What addresses are, and drivers that cannot be had.
#include <gtest/gtest.h>

#include <set>

#include "tests/unit/device_support.hpp"

namespace mpix::device::testing {
namespace {

class DeviceMemory : public ::testing::Test {
 protected:
  void SetUp() override {
    application();
    gpus = find(regions);
  }
  memory::Regions regions;
  std::unique_ptr<Gpus> gpus;
};

TEST(DeviceDriver, IsNotFoundUnderAWrongName) {
  memory::Regions regions;
  Config config;
  config.cuda_driver = "libcuda-of-nobody.so.1";
  std::string why;
  EXPECT_EQ(find_gpus(config, regions, why), nullptr);
  EXPECT_NE(why.find("libcuda-of-nobody"), std::string::npos) << why;
}

TEST(DeviceDriver, IsNotLookedForWhereSwitchedOff) {
  memory::Regions regions;
  Config config;
  config.cuda = false;
  std::string why;
  EXPECT_EQ(find_gpus(config, regions, why), nullptr);
  EXPECT_NE(why, "");
}

TEST(DeviceDriver, OtherLibrariesAreNone) {
  memory::Regions regions;
  Config config;
  config.cuda_driver = "libc.so.6";
  std::string why;
  EXPECT_EQ(find_gpus(config, regions, why), nullptr);
  EXPECT_NE(why.find("cuGetErrorName"), std::string::npos) << why;
}

TEST_F(DeviceMemory, TellsKindsApart) {
  const int local = 0;
  EXPECT_EQ(gpus->look(&local).kind, Kind::host);
  EXPECT_EQ(gpus->look(nullptr).kind, Kind::host);
  EXPECT_EQ(gpus->look(&local).ordinal, -1);
  EXPECT_FALSE(gpus->look(&local).needs_gpu());
  for (const Kind kind : {Kind::host, Kind::pinned, Kind::managed, Kind::device}) {
    const Memory memory(kind, 1000);
    const Facts facts = gpus->look(memory.data());
    EXPECT_EQ(facts.kind, kind);
    EXPECT_EQ(facts.ordinal, kind == Kind::host ? -1 : 0);
    EXPECT_EQ(facts.needs_gpu(), kind == Kind::managed || kind == Kind::device);
    const Facts inside = gpus->look(memory.data() + 999);
    EXPECT_EQ(inside.kind, kind);
    EXPECT_EQ(inside.buffer, facts.buffer);
  }
}

TEST_F(DeviceMemory, NoticesThatAnAddressWasFreedAndUsedAgain) {
  std::set<std::uint64_t> buffers;
  std::set<const std::byte*> places;
  for (int round = 0; round < 40; ++round) {
    const Memory memory(round % 2 == 0 ? Kind::device : Kind::pinned, 4096);
    for (int again = 0; again < 2; ++again) {
      const Facts facts = gpus->look(memory.data() + 8 * again);
      EXPECT_EQ(facts.kind, round % 2 == 0 ? Kind::device : Kind::pinned);
      buffers.insert(facts.buffer);
    }
    places.insert(memory.data());
  }
  EXPECT_EQ(buffers.size(), 40u);
  EXPECT_LT(places.size(), 40u) << "no address was used again";
}

TEST_F(DeviceMemory, FreedMemoryIsTheHosts) {
  const std::byte* place = nullptr;
  {
    const Memory memory(Kind::device, 4 << 20);
    place = memory.data();
    EXPECT_EQ(gpus->look(place).kind, Kind::device);
  }
  EXPECT_EQ(gpus->look(place).kind, Kind::host);
}

TEST_F(DeviceMemory, MoreAllocationsThanAreRemembered) {
  std::vector<std::unique_ptr<Memory>> memories;
  for (int i = 0; i < 1100; ++i) memories.push_back(std::make_unique<Memory>(Kind::device, 64));
  std::set<std::uint64_t> buffers;
  for (int again = 0; again < 2; ++again)
    for (const auto& memory : memories) buffers.insert(gpus->look(memory->data()).buffer);
  EXPECT_EQ(buffers.size(), memories.size());
}

TEST_F(DeviceMemory, ExportsDeviceMemoryOnly) {
  for (const Kind kind : {Kind::host, Kind::pinned, Kind::managed, Kind::device}) {
    const Memory memory(kind, 1000);
    const auto place = gpus->export_place(memory.data() + 10, gpus->look(memory.data() + 10));
    ASSERT_EQ(place.has_value(), kind == Kind::device);
    if (!place) continue;
    EXPECT_EQ(place->base + static_cast<std::uint64_t>(place->offset),
              reinterpret_cast<std::uint64_t>(memory.data() + 10));
    EXPECT_EQ(place->buffer, gpus->look(memory.data()).buffer);
    EXPECT_GE(place->bytes, 1000u);
  }
}

TEST_F(DeviceMemory, IsFoundInItsOwnProcessWithoutMapping) {
  const Memory memory(Kind::device, 1000);
  const auto place = gpus->export_place(memory.data() + 10, gpus->look(memory.data()));
  ASSERT_TRUE(place);
  EXPECT_EQ(gpus->import(number_of_gpu(*gpus), *place)->data(), memory.data() + 10);
}

TEST_F(DeviceMemory, GivesAProbe) {
  const auto place = gpus->probe(0);
  ASSERT_TRUE(place);
  EXPECT_EQ(gpus->probe(0)->buffer, place->buffer);
  EXPECT_FALSE(gpus->probe(1000));
}

TEST_F(DeviceMemory, OfAGpuThatIsNotThere) {
  const Facts facts{Kind::device, 1000, 0};
  EXPECT_THROW(gpus->make_queue(facts), Error);
  EXPECT_THROW(gpus->number_of(facts), Error);
}

TEST_F(DeviceMemory, IsDescribed) {
  const std::string words = gpus->description();
  EXPECT_NE(words.find("GPU"), std::string::npos) << words;
}

}  // namespace
}  // namespace mpix::device::testing
