// SPDX-License-Identifier: BSD-3-Clause
/// Which network devices a rank sends and receives by.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mpix::topology {

/// A port of a fabric.
struct Nic {
  std::string name;   ///< as in UCX_NET_DEVICES: mlx5_0:1
  bool near = false;  ///< to the cores that this process may use
};

/// Place of this process among those of its job on the node, as the launcher says; 0 where it does not.
int local_rank();

/// Of several lists of devices separated by ';', that of a rank: they are dealt out in turn.
std::string devices_of(std::string_view lists, int local_rank);

/// The one of `nics` that a rank should use: of the near ones if there are any, which ranks take in turn.
/// Empty where there is no choice.
std::string deal_out(std::span<const Nic> nics, int local_rank);

/// The active ports of InfiniBand and RoCE devices of this machine, in the order of their names.
std::vector<Nic> find_nics();

/// As UCX takes them, with commas between them; "all" for every one that there is.
struct Devices {
  std::string own;     ///< by which this rank receives, and sends where they reach; empty: UCX's own choice
  std::string others;  ///< by which it sends to ranks that its own do not reach; empty for none
};

/// The devices of several lists separated by ';', each once.
std::string all_devices_of(std::string_view lists);

/// The devices for UCX where `configured` (MPIX_LAYOUT_NET_DEVICES) asks for some; else the one that
/// suits this rank; UCX's own choice for want of several fabric ports, or as UCX_NET_DEVICES is set.
Devices choose_devices(const std::string& configured);

}  // namespace mpix::topology
