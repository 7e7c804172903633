// SPDX-License-Identifier: BSD-3-Clause
/// An application that uses CUDA, for tests of the library's side of it. The driver is that of
/// MPIX_LAYOUT_CUDA_DRIVER, otherwise the emulated one of the build; what tests do is the same on both.
#pragma once

#include <cuda.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/config.hpp"
#include "device/device.hpp"
#include "memory/regions.hpp"

namespace mpix::device::testing {

#define MPIX_TEST_FUNCTIONS(DO) \
  DO(cuInit)                    \
  DO(cuDeviceGet)               \
  DO(cuDeviceGetCount)          \
  DO(cuDevicePrimaryCtxRetain)  \
  DO(cuCtxSetCurrent)           \
  DO(cuCtxGetCurrent)           \
  DO(cuCtxSynchronize)          \
  DO(cuMemAlloc)                \
  DO(cuMemFree)                 \
  DO(cuMemAllocManaged)         \
  DO(cuMemHostAlloc)            \
  DO(cuMemFreeHost)             \
  DO(cuMemcpyHtoD)              \
  DO(cuMemcpyDtoH)              \
  DO(cuMemcpyHtoDAsync)         \
  DO(cuMemcpyDtoHAsync)         \
  DO(cuStreamBeginCapture)      \
  DO(cuStreamEndCapture) DO(cuStreamCreate) DO(cuStreamDestroy) DO(cuStreamSynchronize) DO(cuStreamQuery)

inline std::string driver_name() {
  if (const char* const named = std::getenv("MPIX_LAYOUT_CUDA_DRIVER")) return named;
  const char* const top = std::getenv("top_builddir");
  return std::string(top == nullptr ? "." : top) + "/tests/emulated_cuda/.libs/libcuda_emulated.so";
}

inline bool emulated() {
  return driver_name().find("emulated") != std::string::npos;
}

/// The driver's functions that applications call; throws where one fails.
class Application {
 public:
#define MPIX_TEST_MEMBER(name) decltype(&::name) name = nullptr;
  MPIX_TEST_FUNCTIONS(MPIX_TEST_MEMBER)
#undef MPIX_TEST_MEMBER

  /// Loads the driver, without initialising it.
  Application() {
    library_ = ::dlopen(driver_name().c_str(), RTLD_NOW);
    if (library_ == nullptr) throw std::runtime_error(::dlerror());
#define MPIX_TEST_QUOTE(name) #name
#define MPIX_TEST_STRING(name) MPIX_TEST_QUOTE(name)
#define MPIX_TEST_RESOLVE(name) \
  name = reinterpret_cast<decltype(name)>(::dlsym(library_, MPIX_TEST_STRING(name)));
    MPIX_TEST_FUNCTIONS(MPIX_TEST_RESOLVE)
#undef MPIX_TEST_RESOLVE
#undef MPIX_TEST_STRING
#undef MPIX_TEST_QUOTE
  }
  /// Initialises it, and makes the primary context of a GPU current.
  void start(int ordinal = 0) {
    CUdevice device = 0;
    must(cuInit(0));
    must(cuDeviceGet(&device, ordinal));
    must(cuDevicePrimaryCtxRetain(&context, device));
    must(cuCtxSetCurrent(context));
  }
  int devices() const {
    int count = 0;
    must(cuDeviceGetCount(&count));
    return count;
  }
  static void must(CUresult result) {
    if (result != CUDA_SUCCESS) throw std::runtime_error("CUDA error " + std::to_string(result));
  }

  CUcontext context = nullptr;

 private:
  void* library_ = nullptr;
};

/// Of the queues for memory of the first GPU.
inline std::uint64_t number_of_gpu(Gpus& gpus) {
  Facts facts;
  facts.kind = Kind::device;
  facts.ordinal = 0;
  return gpus.number_of(facts);
}

/// Started once for the program.
inline Application& application() {
  static const std::unique_ptr<Application> started = [] {
    auto application = std::make_unique<Application>();
    application->start();
    return application;
  }();
  return *started;
}

/// Memory of the application.
class Memory {
 public:
  Memory(Kind kind, std::size_t bytes) : kind_(kind), bytes_(bytes) {
    Application& app = application();
    CUdeviceptr place = 0;
    switch (kind) {
      case Kind::device:
        app.must(app.cuMemAlloc(&place, bytes));
        break;
      case Kind::managed:
        app.must(app.cuMemAllocManaged(&place, bytes, CU_MEM_ATTACH_GLOBAL));
        break;
      case Kind::pinned:
        app.must(app.cuMemHostAlloc(&host_, bytes, CU_MEMHOSTALLOC_PORTABLE));
        break;
      case Kind::host:
        host_ = std::malloc(bytes);
    }
    data_ = host_ != nullptr ? static_cast<std::byte*>(host_) : reinterpret_cast<std::byte*>(place);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() {
    Application& app = application();
    if (kind_ == Kind::host)
      std::free(host_);
    else if (kind_ == Kind::pinned)
      EXPECT_EQ(app.cuMemFreeHost(host_), CUDA_SUCCESS);
    else
      EXPECT_EQ(app.cuMemFree(reinterpret_cast<CUdeviceptr>(data_)), CUDA_SUCCESS);
  }

  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  void write(std::span<const std::byte> from) const {
    Application& app = application();
    if (host_ != nullptr) std::copy(from.begin(), from.end(), data_);
    if (host_ == nullptr && !from.empty())
      app.must(app.cuMemcpyHtoD(reinterpret_cast<CUdeviceptr>(data_), from.data(), from.size()));
    app.must(app.cuCtxSynchronize());
  }
  std::vector<std::byte> read() const {
    Application& app = application();
    std::vector<std::byte> to(bytes_);
    if (host_ != nullptr) to.assign(data_, data_ + bytes_);
    if (host_ == nullptr && bytes_ > 0)
      app.must(app.cuMemcpyDtoH(to.data(), reinterpret_cast<CUdeviceptr>(data_), bytes_));
    return to;
  }

 private:
  Kind kind_;
  std::size_t bytes_;
  void* host_ = nullptr;
  std::byte* data_ = nullptr;
};

/// The library's side.
inline std::unique_ptr<Gpus> find(memory::Regions& regions) {
  Config config;
  config.cuda_driver = driver_name();
  std::string why;
  auto gpus = find_gpus(config, regions, why);
  if (gpus == nullptr) throw std::runtime_error(why);
  return gpus;
}

}  // namespace mpix::device::testing
