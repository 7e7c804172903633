// SPDX-License-Identifier: BSD-3-Clause
// What is common to all functions: settings, counts of calls, errors, names.
#include <dlfcn.h>

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

std::map<std::string, std::uint64_t, std::less<>> read_failing() {
  std::map<std::string, std::uint64_t, std::less<>> failing;
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

/// Works before cuInit.
bool needs_no_init(const char* name) {
  for (const char* const known : {"cuInit", "cuDriverGetVersion", "cuGetProcAddress"})
    if (std::strcmp(name, known) == 0) return true;
  return false;
}

}  // namespace

Driver::Driver()
    : failing(read_failing()),
      delay(number("EMULATED_CUDA_DELAY_US", 100)),
      seed(number("EMULATED_CUDA_SEED", std::random_device()())),
      random(seed) {
  for (int i = 0; i < device_count(); ++i) {
    contexts.push_back(std::make_unique<CUctx_st>());
    contexts.back()->ordinal = i;
  }
}

CUresult Driver::enter(const char* name, CUresult failure) {
  const std::lock_guard guard(mutex);
  const auto count = calls.find(name);
  const std::uint64_t call = count != calls.end() ? ++count->second : ++calls[name];
  const auto fails = failing.find(name);
  if (fails != failing.end() && call >= fails->second) return failure;
  if (in_host_function()) {
    std::fprintf(stderr, "emulated CUDA: %s is called by a host function of a stream\n", name);
    return CUDA_ERROR_NOT_PERMITTED;
  }
  return initialised || needs_no_init(name) ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
}

void Driver::illegal(const std::string& what) {
  const CUcontext context = working();
  if (context == nullptr || context->error != CUDA_SUCCESS) return;
  std::fprintf(stderr, "emulated CUDA: illegal access by GPU %d: %s (EMULATED_CUDA_SEED=%llu)\n",
               context->ordinal, what.c_str(), static_cast<unsigned long long>(seed));
  context->error = CUDA_ERROR_ILLEGAL_ADDRESS;
}

Driver& driver() {
  static Driver* const only = new Driver();
  return *only;
}

int device_count() {
  static const int count = static_cast<int>(number("EMULATED_CUDA_DEVICES", 1));
  return count;
}

bool peers_allowed() {
  return number("EMULATED_CUDA_NO_PEER", 0) == 0;
}

CUcontext& working() {
  static thread_local CUcontext context = nullptr;
  return context;
}

bool& in_host_function() {
  static thread_local bool inside = false;
  return inside;
}

}  // namespace emulated

using emulated::driver;

EMULATED std::uint64_t emulatedCudaCalls(const char* name) {
  const std::lock_guard guard(driver().mutex);
  const auto count = driver().calls.find(name);
  return count != driver().calls.end() ? count->second : 0;
}

EMULATED std::uint64_t emulatedCudaSeed() {
  return driver().seed;
}

EMULATED CUresult CUDAAPI cuInit(unsigned int flags) {
  EMULATED_CALL(cuInit, CUDA_ERROR_NO_DEVICE);
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  if (emulated::device_count() == 0) return CUDA_ERROR_NO_DEVICE;
  const std::lock_guard guard(driver().mutex);
  driver().initialised = true;
  return CUDA_SUCCESS;
}

EMULATED CUresult CUDAAPI cuDriverGetVersion(int* version) {
  EMULATED_CALL(cuDriverGetVersion, CUDA_ERROR_UNKNOWN);
  *version = CUDA_VERSION;
  return CUDA_SUCCESS;
}

namespace {

struct Named {
  CUresult error;
  const char* name;
};
#define EMULATED_NAMED(error) \
  { error, #error }
constexpr Named kNames[] = {EMULATED_NAMED(CUDA_SUCCESS),
                            EMULATED_NAMED(CUDA_ERROR_INVALID_VALUE),
                            EMULATED_NAMED(CUDA_ERROR_OUT_OF_MEMORY),
                            EMULATED_NAMED(CUDA_ERROR_NOT_INITIALIZED),
                            EMULATED_NAMED(CUDA_ERROR_NO_DEVICE),
                            EMULATED_NAMED(CUDA_ERROR_INVALID_DEVICE),
                            EMULATED_NAMED(CUDA_ERROR_INVALID_IMAGE),
                            EMULATED_NAMED(CUDA_ERROR_INVALID_CONTEXT),
                            EMULATED_NAMED(CUDA_ERROR_MAP_FAILED),
                            EMULATED_NAMED(CUDA_ERROR_PEER_ACCESS_UNSUPPORTED),
                            EMULATED_NAMED(CUDA_ERROR_INVALID_HANDLE),
                            EMULATED_NAMED(CUDA_ERROR_NOT_FOUND),
                            EMULATED_NAMED(CUDA_ERROR_NOT_READY),
                            EMULATED_NAMED(CUDA_ERROR_ILLEGAL_ADDRESS),
                            EMULATED_NAMED(CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED),
                            EMULATED_NAMED(CUDA_ERROR_CONTEXT_IS_DESTROYED),
                            EMULATED_NAMED(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED),
                            EMULATED_NAMED(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED),
                            EMULATED_NAMED(CUDA_ERROR_LAUNCH_FAILED),
                            EMULATED_NAMED(CUDA_ERROR_NOT_PERMITTED),
                            EMULATED_NAMED(CUDA_ERROR_NOT_SUPPORTED),
                            EMULATED_NAMED(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED),
                            EMULATED_NAMED(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED),
                            EMULATED_NAMED(CUDA_ERROR_UNKNOWN)};
#undef EMULATED_NAMED

}  // namespace

EMULATED CUresult CUDAAPI cuGetErrorName(CUresult error, const char** name) {
  *name = nullptr;
  for (const Named& known : kNames)
    if (known.error == error) *name = known.name;
  return *name != nullptr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

EMULATED CUresult CUDAAPI cuGetErrorString(CUresult error, const char** text) {
  if (const CUresult result = cuGetErrorName(error, text); result != CUDA_SUCCESS) return result;
  *text = error == CUDA_SUCCESS ? "no error" : "an error of the emulated driver";
  return CUDA_SUCCESS;
}

/// `symbol`: without the suffix of a version; the newest is given.
EMULATED CUresult CUDAAPI cuGetProcAddress(const char* symbol, void** function, int, cuuint64_t,
                                           CUdriverProcAddressQueryResult* status) {
  EMULATED_CALL(cuGetProcAddress, CUDA_ERROR_NOT_FOUND);
  Dl_info info{};
  *function = nullptr;
  if (::dladdr(reinterpret_cast<void*>(&emulatedCudaSeed), &info) == 0) return CUDA_ERROR_UNKNOWN;
  void* const library = ::dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  if (library == nullptr) return CUDA_ERROR_UNKNOWN;
  for (const char* const suffix : {"_v4", "_v3", "_v2", ""})
    if (*function == nullptr) *function = ::dlsym(library, (symbol + std::string(suffix)).c_str());
  ::dlclose(library);
  const bool found = *function != nullptr;
  if (status != nullptr) *status = found ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  return found ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
