// SPDX-License-Identifier: BSD-3-Clause
// Memory of the emulated driver, contexts, and failures on demand.
#include <csignal>
#include <set>

#include "support.hpp"

namespace emulated::test {
namespace {

TEST(EmulatedMemory, CannotBeTouchedByTheHost) {
  const pid_t child = start_process([] {
    const Gpu gpu;
    const CUdeviceptr memory = gpu.allocate(100);
    std::signal(SIGSEGV, [](int) { ::_exit(42); });
    *reinterpret_cast<volatile char*>(memory) = 1;
  });
  EXPECT_EQ(end_of(child), 42);
}

TEST(EmulatedMemory, IsCopiedToAndFrom) {
  EXPECT_TRUE(alone([] {
    const Gpu gpu;
    for (const std::size_t bytes : {std::size_t{1}, std::size_t{1000}, std::size_t{5} << 20}) {
      const CUdeviceptr memory = gpu.upload(sequence(bytes));
      EXPECT_TRUE(gpu.read(memory, bytes) == sequence(bytes));
      must(gpu.cuMemFree(memory));
    }
  }));
}

TEST(EmulatedMemory, OfSmallAllocationsLiesSideBySide) {
  EXPECT_TRUE(alone([] {
    const Gpu gpu;
    const CUdeviceptr first = gpu.allocate(700), second = gpu.allocate(300);
    EXPECT_EQ(second - first, 1024u);
    CUdeviceptr base = 0;
    std::size_t bytes = 0;
    must(gpu.cuMemGetAddressRange(&base, &bytes, second + 299));
    EXPECT_EQ(base, second);
    EXPECT_EQ(bytes, 300u);
    EXPECT_EQ(gpu.cuMemGetAddressRange(&base, &bytes, second + 300), CUDA_ERROR_NOT_FOUND);
  }));
}

TEST(EmulatedMemory, ReusesAddressesButNotNumbers) {
  EXPECT_TRUE(alone([] {
    const Gpu gpu;
    for (const std::size_t bytes : {std::size_t{100}, std::size_t{3} << 20}) {
      const CUdeviceptr first = gpu.allocate(bytes);
      std::set<unsigned long long> buffers = {gpu.buffer_of(first)};
      must(gpu.cuMemFree(first));
      for (int i = 0; i < 5; ++i) {
        const CUdeviceptr next = gpu.allocate(bytes);
        EXPECT_EQ(next, first);
        EXPECT_TRUE(buffers.insert(gpu.buffer_of(next)).second);
        must(gpu.cuMemFree(next));
      }
    }
  }));
}

void expect_illegal(const Gpu& gpu, CUresult result) {
  EXPECT_EQ(result, CUDA_ERROR_ILLEGAL_ADDRESS);
  CUdeviceptr other = 0;
  EXPECT_EQ(gpu.cuMemAlloc(&other, 100), CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT_EQ(gpu.cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
  int count = 0;
  EXPECT_EQ(gpu.cuDeviceGetCount(&count), CUDA_SUCCESS);
}

TEST(EmulatedMemory, CannotBeUsedOnceItIsFreed) {
  for (const std::size_t bytes : {std::size_t{100}, std::size_t{3} << 20})
    EXPECT_TRUE(alone([=] {
      const Gpu gpu;
      const CUdeviceptr memory = gpu.allocate(bytes);
      must(gpu.cuMemFree(memory));
      EXPECT_EQ(gpu.cuMemFree(memory), CUDA_ERROR_INVALID_VALUE);
      std::vector<std::uint8_t> to(100);
      expect_illegal(gpu, gpu.cuMemcpyDtoH(to.data(), memory, 100));
    }));
}

TEST(EmulatedMemory, HasEndsThatCopiesMustKeepTo) {
  EXPECT_TRUE(alone([] {
    const Gpu gpu;
    const CUdeviceptr memory = gpu.allocate(512);
    gpu.allocate(512);
    const CUstream stream = gpu.stream();
    must(gpu.cuMemcpyHtoDAsync(memory, sequence(513).data(), 513, stream));
    expect_illegal(gpu, gpu.cuStreamSynchronize(stream));
  }));
}

struct Answers {
  unsigned type = 77, managed = 77;
  int ordinal = 77;
  unsigned long long buffer = 77;
  CUdeviceptr device = 77;
};

CUresult ask(const Gpu& gpu, CUdeviceptr address, Answers& answers) {
  CUpointer_attribute which[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_IS_MANAGED,
                                 CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, CU_POINTER_ATTRIBUTE_BUFFER_ID,
                                 CU_POINTER_ATTRIBUTE_DEVICE_POINTER};
  void* where[] = {&answers.type, &answers.managed, &answers.ordinal, &answers.buffer, &answers.device};
  return gpu.cuPointerGetAttributes(5, which, where, address);
}

void expect_kind(const Gpu& gpu, CUdeviceptr address, unsigned type, bool managed) {
  Answers answers;
  must(ask(gpu, address + 5, answers));
  EXPECT_EQ(answers.type, type);
  EXPECT_EQ(answers.managed, managed ? 1u : 0u);
  EXPECT_EQ(answers.ordinal, 0);
  EXPECT_NE(answers.buffer, 0u);
  EXPECT_EQ(answers.device, address + 5);
}

TEST(EmulatedMemory, IsKnownByItsPointers) {
  EXPECT_TRUE(alone([] {
    const Gpu gpu;
    CUdeviceptr managed = 0, pooled = 0;
    must(gpu.cuMemAllocManaged(&managed, 100, CU_MEM_ATTACH_GLOBAL));
    must(gpu.cuMemAllocAsync(&pooled, 100, nullptr));
    expect_kind(gpu, gpu.allocate(100), CU_MEMORYTYPE_DEVICE, false);
    expect_kind(gpu, pooled, CU_MEMORYTYPE_DEVICE, false);
    expect_kind(gpu, managed, CU_MEMORYTYPE_DEVICE, true);
    expect_kind(gpu, device_pointer(gpu.pinned<char>(100)), CU_MEMORYTYPE_HOST, false);
    std::vector<char> own(100);
    must(gpu.cuMemHostRegister(own.data() + 10, 80, 0));
    EXPECT_EQ(gpu.cuMemHostRegister(own.data(), 20, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    expect_kind(gpu, device_pointer(own.data() + 10), CU_MEMORYTYPE_HOST, false);
    must(gpu.cuMemHostUnregister(own.data() + 10));
    EXPECT_EQ(gpu.cuMemHostUnregister(own.data() + 10), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
  }));
}

TEST(EmulatedMemory, OfTheHostAloneIsUnknown) {
  EXPECT_TRUE(alone([] {
    const Gpu gpu;
    int own = 0;
    unsigned type = 0;
    EXPECT_EQ(gpu.cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, device_pointer(&own)),
              CUDA_ERROR_INVALID_VALUE);
    Answers answers;
    EXPECT_EQ(ask(gpu, device_pointer(&own), answers), CUDA_SUCCESS);
    EXPECT_EQ(answers.type, 0u);
    EXPECT_EQ(answers.buffer, 0u);
    CUdeviceptr device = 0;
    EXPECT_NE(gpu.cuMemHostGetDevicePointer(&device, &own, 0), CUDA_SUCCESS);
  }));
}

TEST(EmulatedDriver, IsNothingBeforeItIsInitialised) {
  EXPECT_TRUE(alone([] {
    const Api api;
    unsigned type = 0;
    CUdeviceptr memory = 0;
    EXPECT_EQ(api.cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, device_pointer(&type)),
              CUDA_ERROR_NOT_INITIALIZED);
    must(api.cuInit(0));
    EXPECT_EQ(api.cuMemAlloc(&memory, 1), CUDA_ERROR_INVALID_CONTEXT);
  }));
}

TEST(EmulatedDriver, FailsOnDemandAndCounts) {
  EXPECT_TRUE(alone([] {
    set("EMULATED_CUDA_FAIL", "cuMemHostRegister:3,cuIpcGetMemHandle");
    const Gpu gpu;
    std::vector<char> own(100);
    for (int call = 1; call <= 5; ++call) {
      EXPECT_EQ(gpu.cuMemHostRegister(own.data(), own.size(), 0) == CUDA_SUCCESS, call < 3) << call;
      if (call < 3) must(gpu.cuMemHostUnregister(own.data()));
    }
    EXPECT_EQ(gpu.calls("cuMemHostRegister"), 5u);
    EXPECT_EQ(gpu.calls("cuMemHostUnregister"), 2u);
    EXPECT_EQ(gpu.calls("cuLaunchKernel"), 0u);
    CUipcMemHandle handle;
    EXPECT_EQ(gpu.cuIpcGetMemHandle(&handle, gpu.allocate(1)), CUDA_ERROR_NOT_SUPPORTED);
  }));
}

TEST(EmulatedDriver, FindsItsFunctionsByName) {
  EXPECT_TRUE(alone([] {
    const Gpu gpu;
    void* function = nullptr;
    must(gpu.cuGetProcAddress("cuMemAlloc", &function, CUDA_VERSION, 0, nullptr));
    EXPECT_EQ(reinterpret_cast<decltype(gpu.cuMemAlloc)>(function), gpu.cuMemAlloc);
    EXPECT_EQ(gpu.cuGetProcAddress("cuNothing", &function, CUDA_VERSION, 0, nullptr), CUDA_ERROR_NOT_FOUND);
  }));
}

TEST(EmulatedContexts, OwnWhatIsMadeInThem) {
  EXPECT_TRUE(alone([] {
    const Gpu gpu;
    CUcontext made = nullptr;
    must(gpu.cuCtxCreate(&made, nullptr, 0, 0));
    const CUdeviceptr memory = gpu.allocate(100);
    const CUstream stream = gpu.stream();
    const CUevent event = gpu.event();
    CUcontext owner = nullptr;
    must(gpu.cuPointerGetAttribute(&owner, CU_POINTER_ATTRIBUTE_CONTEXT, memory));
    EXPECT_EQ(owner, made);
    must(gpu.cuCtxDestroy(made));
    must(gpu.cuCtxGetCurrent(&owner));
    EXPECT_EQ(owner, gpu.context);
    unsigned long long id = 0;
    EXPECT_NE(gpu.cuCtxGetId(made, &id), CUDA_SUCCESS);
    EXPECT_NE(gpu.cuCtxSetCurrent(made), CUDA_SUCCESS);
    EXPECT_EQ(gpu.cuMemFree(memory), CUDA_ERROR_INVALID_VALUE);
    EXPECT_EQ(gpu.cuStreamQuery(stream), CUDA_ERROR_INVALID_HANDLE);
    EXPECT_EQ(gpu.cuEventQuery(event), CUDA_ERROR_INVALID_HANDLE);
  }));
}

TEST(EmulatedContexts, ComeBackAsOthers) {
  EXPECT_TRUE(alone([] {
    const Gpu gpu;
    unsigned long long first = 0, second = 0;
    unsigned flags = 0;
    int active = 0;
    must(gpu.cuCtxGetId(gpu.context, &first));
    must(gpu.cuDevicePrimaryCtxRelease(0));
    must(gpu.cuDevicePrimaryCtxGetState(0, &flags, &active));
    EXPECT_EQ(active, 0);
    EXPECT_NE(gpu.cuCtxSynchronize(), CUDA_SUCCESS);
    must(gpu.cuCtxGetId(gpu.primary(0), &second));
    EXPECT_NE(first, second);
  }));
}

/// What befalls one GPU is nothing to another.
TEST(EmulatedContexts, FailByThemselves) {
  EXPECT_TRUE(alone([] {
    set("EMULATED_CUDA_DEVICES", "2");
    const Gpu gpu;
    const CUstream stream = gpu.stream();
    const CUdeviceptr memory = gpu.allocate(100);
    must(gpu.cuMemcpyHtoDAsync(memory + 50, sequence(100).data(), 100, stream));
    expect_illegal(gpu, gpu.cuStreamSynchronize(stream));
    gpu.primary(1);
    EXPECT_TRUE(gpu.read(gpu.upload(sequence(100)), 100) == sequence(100));
  }));
}

}  // namespace
}  // namespace emulated::test
