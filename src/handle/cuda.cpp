// SPDX-License-Identifier: BSD-3-Clause
#include "handle/cuda.hpp"

#include <dlfcn.h>

#include <atomic>

#include "base/log.hpp"
#include "base/text.hpp"

namespace mpix {
namespace {

/// Sets `function` to the symbol, null where the library has none.
template <typename Function>
bool resolve(void* library, const char* symbol, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, symbol));
  return function != nullptr;
}

const char* name_of(const CudaDriver& driver, CUresult result) noexcept {
  const char* name = nullptr;
  return driver.cuGetErrorName(result, &name) == CUDA_SUCCESS && name != nullptr ? name : "unknown error";
}

std::string text_of(const CudaDriver& driver, CUresult result, const char* what) {
  const char* words = nullptr;
  if (driver.cuGetErrorString(result, &words) != CUDA_SUCCESS || words == nullptr) words = "?";
  return text(what, ": ", name_of(driver, result), " (", words, ")");
}

/// The numerically lowest, which is the highest; 0 where the driver has no priorities.
int highest_priority(const CudaDriver& driver) {
  int least = 0, greatest = 0;
  if (driver.cuCtxGetStreamPriorityRange == nullptr) return 0;
  cuda_check(driver, driver.cuCtxGetStreamPriorityRange(&least, &greatest), "cuCtxGetStreamPriorityRange");
  return greatest;
}

void check_current(const CudaContext& context, const CudaScope& scope) {
  cuda_check(context.driver(), scope.result(), "cuCtxPushCurrent");
}

}  // namespace

std::shared_ptr<const CudaDriver> CudaDriver::load(const std::string& library) {
  void* const handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* const reason = ::dlerror();
    throw Error(Code::internal, text("no CUDA driver: ", reason == nullptr ? "dlopen failed" : reason));
  }
  auto driver = std::make_shared<CudaDriver>();
#define MPIX_CUDA_QUOTE(name) #name
#define MPIX_CUDA_STRING(name) MPIX_CUDA_QUOTE(name)
#define MPIX_CUDA_RESOLVE(name)                               \
  if (!resolve(handle, MPIX_CUDA_STRING(name), driver->name)) \
    throw Error(Code::internal,                               \
                text("the CUDA driver ", library, " is too old: it has no ", MPIX_CUDA_STRING(name)));
  MPIX_CUDA_NEEDED(MPIX_CUDA_RESOLVE)
#undef MPIX_CUDA_RESOLVE
#define MPIX_CUDA_RESOLVE(name) resolve(handle, MPIX_CUDA_STRING(name), driver->name);
  MPIX_CUDA_OPTIONAL(MPIX_CUDA_RESOLVE)
#undef MPIX_CUDA_RESOLVE
#undef MPIX_CUDA_STRING
#undef MPIX_CUDA_QUOTE
  return driver;
}

Status cuda_status(const CudaDriver& driver, CUresult result, const char* what) noexcept {
  if (result == CUDA_SUCCESS) return {};
  const bool memory = result == CUDA_ERROR_OUT_OF_MEMORY;
  return {memory ? Code::no_memory : Code::internal, text_of(driver, result, what)};
}

void cuda_check(const CudaDriver& driver, CUresult result, const char* what) {
  if (result != CUDA_SUCCESS) throw Error(cuda_status(driver, result, what));
}

void cuda_log(const CudaDriver& driver, CUresult result, const char* what) noexcept {
  if (result != CUDA_SUCCESS) log::debug(what, ": ", name_of(driver, result));
}

std::shared_ptr<const CudaContext> CudaContext::primary(std::shared_ptr<const CudaDriver> driver,
                                                        int ordinal) {
  CUdevice device = 0;
  CUcontext handle = nullptr;
  cuda_check(*driver, driver->cuDeviceGet(&device, ordinal), "cuDeviceGet");
  cuda_check(*driver, driver->cuDevicePrimaryCtxRetain(&handle, device), "cuDevicePrimaryCtxRetain");
  auto context = std::make_shared<CudaContext>(std::move(driver), handle, ordinal);
  context->retained_ = true;
  return context;
}

std::uint64_t CudaContext::next_number() noexcept {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

unsigned long long CudaContext::id_of(const CudaDriver& driver, CUcontext handle) noexcept {
  unsigned long long id = 0;
  if (handle == nullptr || driver.cuCtxGetId == nullptr) return 0;
  return driver.cuCtxGetId(handle, &id) == CUDA_SUCCESS ? id : ~0ULL;
}

CudaContext::~CudaContext() {
  if (!retained_) return;
  CUdevice device = 0;
  CUresult result = driver_->cuDeviceGet(&device, ordinal_);
  if (result == CUDA_SUCCESS) result = driver_->cuDevicePrimaryCtxRelease(device);
  cuda_log(*driver_, result, "cuDevicePrimaryCtxRelease");
}

CudaScope::CudaScope(const CudaDriver& driver, CUcontext context) noexcept
    : driver_(driver), result_(driver.cuCtxPushCurrent(context)) {
  exchange_mode();
}

CudaScope::~CudaScope() {
  exchange_mode();
  CUcontext popped = nullptr;
  if (result_ == CUDA_SUCCESS) cuda_log(driver_, driver_.cuCtxPopCurrent(&popped), "cuCtxPopCurrent");
}

void CudaScope::exchange_mode() noexcept {
  if (driver_.cuThreadExchangeStreamCaptureMode == nullptr) return;
  cuda_log(driver_, driver_.cuThreadExchangeStreamCaptureMode(&mode_), "cuThreadExchangeStreamCaptureMode");
}

CudaStream create_cuda_stream(const CudaContextPointer& context) {
  const CudaDriver& driver = context->driver();
  const CudaScope scope(*context);
  check_current(*context, scope);
  CUstream stream = nullptr;
  const CUresult result =
      driver.cuStreamCreateWithPriority == nullptr
          ? driver.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING)
          : driver.cuStreamCreateWithPriority(&stream, CU_STREAM_NON_BLOCKING, highest_priority(driver));
  cuda_check(driver, result, "cuStreamCreate");
  return {context, stream};
}

CudaEvent create_cuda_event(const CudaContextPointer& context) {
  const CudaScope scope(*context);
  check_current(*context, scope);
  CUevent event = nullptr;
  cuda_check(context->driver(), context->driver().cuEventCreate(&event, CU_EVENT_DISABLE_TIMING),
             "cuEventCreate");
  return {context, event};
}

CudaModule load_cuda_module(const CudaContextPointer& context, const void* image) {
  const CudaScope scope(*context);
  check_current(*context, scope);
  CUmodule module = nullptr;
  cuda_check(context->driver(), context->driver().cuModuleLoadData(&module, image), "cuModuleLoadData");
  return {context, module};
}

CudaMemory allocate_cuda_memory(const CudaContextPointer& context, std::size_t bytes) {
  const CudaScope scope(*context);
  check_current(*context, scope);
  CUdeviceptr memory = 0;
  cuda_check(context->driver(), context->driver().cuMemAlloc(&memory, bytes), "cuMemAlloc");
  return {context, memory};
}

CudaPinned allocate_cuda_pinned(const CudaContextPointer& context, std::size_t bytes) {
  const CudaScope scope(*context);
  check_current(*context, scope);
  void* memory = nullptr;
  const unsigned flags = CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP;
  cuda_check(context->driver(), context->driver().cuMemHostAlloc(&memory, bytes, flags), "cuMemHostAlloc");
  return {context, memory};
}

}  // namespace mpix
