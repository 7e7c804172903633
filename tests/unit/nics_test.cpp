// SPDX-License-Identifier: BSD-3-Clause
// Which ranks of a node use which network devices.
#include "topology/nics.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace mpix::topology {
namespace {

TEST(DevicesOf, OneListIsEverybodys) {
  for (const int rank : {0, 1, 7}) EXPECT_EQ(devices_of("eth0,eth1", rank), "eth0,eth1");
}

TEST(DevicesOf, RanksTakeListsInTurn) {
  const std::string lists = "mlx5_0:1;mlx5_1:1,mlx5_2:1;eth0";
  EXPECT_EQ(devices_of(lists, 0), "mlx5_0:1");
  EXPECT_EQ(devices_of(lists, 1), "mlx5_1:1,mlx5_2:1");
  EXPECT_EQ(devices_of(lists, 2), "eth0");
  EXPECT_EQ(devices_of(lists, 3), "mlx5_0:1");
  EXPECT_EQ(devices_of(lists, 302), "eth0");
}

TEST(DevicesOf, EmptyListsLeaveTheChoice) {
  EXPECT_EQ(devices_of("", 3), "");
  EXPECT_EQ(devices_of("eth0;", 1), "");
}

TEST(AllDevicesOf, EachOnce) {
  EXPECT_EQ(all_devices_of("mlx5_0:1;mlx5_1:1,mlx5_0:1;eth0"), "mlx5_0:1,mlx5_1:1,eth0");
  EXPECT_EQ(all_devices_of("eth0;"), "eth0");
  EXPECT_EQ(all_devices_of(";,"), "");
}

TEST(ChooseDevices, OthersWhereThereAreOthers) {
  ::setenv("OMPI_COMM_WORLD_LOCAL_RANK", "3", 1);
  const Devices one = choose_devices("eth0,eth1"), two = choose_devices("eth0;eth1,eth2");
  EXPECT_EQ(one.own, "eth0,eth1");
  EXPECT_EQ(one.others, "");
  EXPECT_EQ(two.own, "eth1,eth2");
  EXPECT_EQ(two.others, "eth0,eth1,eth2");
  EXPECT_EQ(choose_devices("eth0;eth0").others, "");
  EXPECT_EQ(choose_devices("eth0;").others, "") << "UCX's own choice may be all of them already";
  ::unsetenv("OMPI_COMM_WORLD_LOCAL_RANK");
}

TEST(DealOut, NoChoiceNoDevice) {
  EXPECT_EQ(deal_out({}, 0), "");
  const Nic only[] = {{"mlx5_0:1", true}};
  EXPECT_EQ(deal_out(only, 1), "");
}

TEST(DealOut, NearOnesInTurn) {
  const Nic nics[] = {{"a:1", false}, {"b:1", true}, {"c:1", true}, {"d:1", false}};
  EXPECT_EQ(deal_out(nics, 0), "b:1");
  EXPECT_EQ(deal_out(nics, 1), "c:1");
  EXPECT_EQ(deal_out(nics, 4), "b:1");
}

TEST(DealOut, AllInTurnWhereNoneIsNear) {
  const Nic nics[] = {{"a:1", false}, {"b:1", false}, {"c:2", false}};
  EXPECT_EQ(deal_out(nics, 0), "a:1");
  EXPECT_EQ(deal_out(nics, 5), "c:2");
}

TEST(FindNics, WorksOnAnyMachine) {
  for (const Nic& nic : find_nics()) EXPECT_NE(nic.name.find(':'), std::string::npos);
}

}  // namespace
}  // namespace mpix::topology
