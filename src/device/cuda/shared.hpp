// SPDX-License-Identifier: BSD-3-Clause
/// What all objects of the process's GPUs share. They keep it in being.
#pragma once

#include <memory>
#include <utility>

#include "device/cuda/contexts.hpp"
#include "device/cuda/disposal.hpp"
#include "device/cuda/ipc.hpp"
#include "device/cuda/known.hpp"
#include "device/cuda/list_memory.hpp"
#include "device/cuda/pins.hpp"
#include "device/cuda/setup.hpp"
#include "device/cuda/streams.hpp"

namespace mpix::device::cuda {

struct Shared {
  Shared(std::shared_ptr<const CudaDriver> cuda, memory::Regions& regions)
      : driver(std::move(cuda)), contexts(driver), memory(*driver), pins(regions, disposal) {}

  std::shared_ptr<const CudaDriver> driver;
  Contexts contexts;
  KnownMemory memory;
  std::shared_ptr<Disposal> disposal = std::make_shared<Disposal>();
  ListMemory list_memory{disposal};
  Pins pins;
  Exports exports{contexts, memory};
  Imports imports{contexts, exports, disposal};
  SetUp set_up{contexts, disposal};
  Holds holds{contexts, disposal};  // the first to go: the others' going may wait for what is held
};

}  // namespace mpix::device::cuda
