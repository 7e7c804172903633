// SPDX-License-Identifier: BSD-3-Clause
// What a build without CUDA has of GPUs.
#include "device/device.hpp"

namespace mpix::device {

std::unique_ptr<Gpus> find_gpus(const Config&, memory::Regions&, std::string& why) noexcept {
  why = "this library was built without CUDA (configure --with-cuda)";
  return nullptr;
}

}  // namespace mpix::device
