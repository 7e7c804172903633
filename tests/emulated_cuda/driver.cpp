// SPDX-License-Identifier: BSD-3-Clause
// Devices, contexts, errors, and what is counted of calls.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "emulator.hpp"

namespace emulated {
namespace {

std::uint64_t number(const char* name, std::uint64_t otherwise) {
  const char* const value = std::getenv(name);
  return value != nullptr && *value != '\0' ? std::strtoull(value, nullptr, 0) : otherwise;
}

std::map<std::string, std::uint64_t> read_failing() {
  std::map<std::string, std::uint64_t> failing;
  const char* const value = std::getenv("EMULATED_CUDA_FAIL");
  std::istringstream list(value != nullptr ? value : "");
  for (std::string entry; std::getline(list, entry, ',');) {
    const std::size_t colon = entry.find(':');
    const std::uint64_t from =
        colon == std::string::npos ? 1 : std::strtoull(entry.c_str() + colon + 1, nullptr, 0);
    failing[entry.substr(0, colon)] = from;
  }
  return failing;
}

/// Without a destructor: static objects of applications call the driver when those of threads are gone.
struct ContextStack {
  CUcontext entries[64];
  std::size_t size;

  bool push(CUcontext context) {
    if (size == std::size(entries)) return false;
    entries[size++] = context;
    return true;
  }
};
thread_local ContextStack contexts;

}  // namespace

Driver::Driver()
    : failing(read_failing()),
      delay(number("EMULATED_CUDA_DELAY_US", 100)),
      random(number("EMULATED_CUDA_SEED", std::random_device()())) {
  default_stream->context = nullptr;
  for (int i = 0; i < device_count(); ++i) {
    primary.push_back(std::make_unique<CUctx_st>());
    primary.back()->ordinal = i;
    primary.back()->id = static_cast<unsigned long long>(i) + 1;
  }
}

CUresult Driver::enter(const char* name, CUresult failure) {
  const std::lock_guard guard(mutex);
  const std::uint64_t call = ++calls[name];
  const auto fails = failing.find(name);
  if (fails != failing.end() && call >= fails->second) return failure;
  if (error != CUDA_SUCCESS) return error;
  if (!initialised && std::strcmp(name, "cuInit") != 0 && std::strcmp(name, "cuDriverGetVersion") != 0)
    return CUDA_ERROR_NOT_INITIALIZED;
  return CUDA_SUCCESS;
}

void Driver::illegal(const std::string& what) {
  if (error == CUDA_SUCCESS) std::fprintf(stderr, "emulated CUDA: illegal access: %s\n", what.c_str());
  error = CUDA_ERROR_ILLEGAL_ADDRESS;
}

Driver& driver() {
  static Driver* const only = new Driver();
  return *only;
}

int device_count() {
  static const int count = static_cast<int>(number("EMULATED_CUDA_DEVICES", 1));
  return count;
}

CUcontext current() {
  return contexts.size == 0 ? nullptr : contexts.entries[contexts.size - 1];
}

}  // namespace emulated

using emulated::contexts;
using emulated::driver;

EMULATED std::uint64_t emulatedCudaCalls(const char* name) {
  const std::lock_guard guard(driver().mutex);
  return driver().calls[name];
}

EMULATED CUresult CUDAAPI cuInit(unsigned int) {
  EMULATED_CALL(cuInit, CUDA_ERROR_NO_DEVICE);
  const std::lock_guard guard(driver().mutex);
  driver().initialised = true;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuDriverGetVersion(int* version) {
  EMULATED_CALL(cuDriverGetVersion, CUDA_ERROR_UNKNOWN);
  *version = CUDA_VERSION;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuGetErrorName(CUresult error, const char** name) {
  static const std::map<CUresult, const char*> names = {
      {CUDA_SUCCESS, "CUDA_SUCCESS"},
      {CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE"},
      {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY"},
      {CUDA_ERROR_NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED"},
      {CUDA_ERROR_INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT"},
      {CUDA_ERROR_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS"},
      {CUDA_ERROR_NOT_READY, "CUDA_ERROR_NOT_READY"},
      {CUDA_ERROR_NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED"},
      {CUDA_ERROR_UNKNOWN, "CUDA_ERROR_UNKNOWN"}};
  const auto known = names.find(error);
  *name = known != names.end() ? known->second : "CUDA_ERROR";
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuGetErrorString(CUresult error, const char** text) {
  static thread_local std::string said;
  said = "error " + std::to_string(error) + " of the emulated driver";
  *text = said.c_str();
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuDeviceGetCount(int* count) {
  EMULATED_CALL(cuDeviceGetCount, CUDA_ERROR_UNKNOWN);
  *count = emulated::device_count();
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuDeviceGet(CUdevice* device, int ordinal) {
  EMULATED_CALL(cuDeviceGet, CUDA_ERROR_INVALID_DEVICE);
  if (ordinal < 0 || ordinal >= emulated::device_count()) return CUDA_ERROR_INVALID_DEVICE;
  *device = ordinal;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuDeviceGetName(char* name, int length, CUdevice device) {
  EMULATED_CALL(cuDeviceGetName, CUDA_ERROR_INVALID_DEVICE);
  std::snprintf(name, static_cast<std::size_t>(length), "emulated GPU %d", device);
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice) {
  EMULATED_CALL(cuDeviceGetAttribute, CUDA_ERROR_INVALID_DEVICE);
  static const std::map<int, int> values = {{CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 4},
                                            {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 9},
                                            {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0},
                                            {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 1024},
                                            {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, 2147483647}};
  const auto known = values.find(attribute);
  *value = known != values.end() ? known->second : 1;  // abilities: all
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuDeviceTotalMem(size_t* bytes, CUdevice) {
  EMULATED_CALL(cuDeviceTotalMem, CUDA_ERROR_INVALID_DEVICE);
  *bytes = std::size_t{16} << 30;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuDeviceCanAccessPeer(int* can, CUdevice device, CUdevice peer) {
  EMULATED_CALL(cuDeviceCanAccessPeer, CUDA_ERROR_INVALID_DEVICE);
  *can = device != peer && std::getenv("EMULATED_CUDA_NO_PEER") == nullptr;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  EMULATED_CALL(cuDevicePrimaryCtxRetain, CUDA_ERROR_OUT_OF_MEMORY);
  if (device < 0 || device >= emulated::device_count()) return CUDA_ERROR_INVALID_DEVICE;
  *context = driver().primary[static_cast<std::size_t>(device)].get();
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuDevicePrimaryCtxRelease(CUdevice) {
  EMULATED_CALL(cuDevicePrimaryCtxRelease, CUDA_ERROR_UNKNOWN);
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuCtxPushCurrent(CUcontext context) {
  EMULATED_CALL(cuCtxPushCurrent, CUDA_ERROR_INVALID_CONTEXT);
  return contexts.push(context) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

EMULATED CUresult CUDAAPI cuCtxPopCurrent(CUcontext* context) {
  EMULATED_CALL(cuCtxPopCurrent, CUDA_ERROR_INVALID_CONTEXT);
  if (contexts.size == 0) return CUDA_ERROR_INVALID_CONTEXT;
  if (context != nullptr) *context = emulated::current();
  --contexts.size;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuCtxGetCurrent(CUcontext* context) {
  EMULATED_CALL(cuCtxGetCurrent, CUDA_ERROR_UNKNOWN);
  *context = emulated::current();
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuCtxSetCurrent(CUcontext context) {
  EMULATED_CALL(cuCtxSetCurrent, CUDA_ERROR_INVALID_CONTEXT);
  if (contexts.size > 0) --contexts.size;
  return context == nullptr || contexts.push(context) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

EMULATED CUresult CUDAAPI cuCtxGetDevice(CUdevice* device) {
  EMULATED_CALL(cuCtxGetDevice, CUDA_ERROR_INVALID_CONTEXT);
  if (emulated::current() == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  *device = emulated::current()->ordinal;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuCtxGetId(CUcontext context, unsigned long long* id) {
  EMULATED_CALL(cuCtxGetId, CUDA_ERROR_INVALID_CONTEXT);
  if (context == nullptr) context = emulated::current();
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  *id = context->id;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuCtxSynchronize(void) {
  EMULATED_CALL(cuCtxSynchronize, CUDA_ERROR_UNKNOWN);
  emulated::await_all();
  return driver().error;
}

EMULATED CUresult CUDAAPI cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  EMULATED_CALL(cuCtxGetStreamPriorityRange, CUDA_ERROR_UNKNOWN);
  if (least != nullptr) *least = 0;
  if (greatest != nullptr) *greatest = -5;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuCtxEnablePeerAccess(CUcontext, unsigned int) {
  EMULATED_CALL(cuCtxEnablePeerAccess, CUDA_ERROR_PEER_ACCESS_UNSUPPORTED);
  return CUDA_SUCCESS;
}
