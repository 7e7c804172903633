// SPDX-License-Identifier: BSD-3-Clause
#include "benchmarks/gpu/device.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "kernels/device/image.hpp"
#include "kernels/device/lists.hpp"

namespace mpix::bench {
namespace {

#define MPIX_BENCH_QUOTE(name) #name
#define MPIX_BENCH_NAME(name) MPIX_BENCH_QUOTE(name)
#define MPIX_BENCH_FIND(name) find(library, MPIX_BENCH_NAME(name), more.name)

template <typename Function>
void find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  if (function == nullptr) throw Error(Code::internal, std::string("the CUDA driver has no ") + name);
}

MoreCuda find_more(const std::string& name) {
  void* const library = ::dlopen(name.c_str(), RTLD_NOW);  // stays loaded, as CudaDriver has it
  if (library == nullptr) throw Error(Code::internal, ::dlerror());
  MoreCuda more;
  MPIX_BENCH_FIND(cuInit);
  MPIX_BENCH_FIND(cuMemGetInfo);
  MPIX_BENCH_FIND(cuMemcpyHtoD);
  MPIX_BENCH_FIND(cuMemcpyDtoH);
  MPIX_BENCH_FIND(cuMemcpyDtoDAsync);
  MPIX_BENCH_FIND(cuMemcpy2DAsync);
  MPIX_BENCH_FIND(cuEventElapsedTime);
  MPIX_BENCH_FIND(cuEventSynchronize);
  return more;
}

/// `list` in memory of the GPU; null for an empty one.
template <typename T>
const T* put(const Gpu& gpu, const std::vector<T>& list, std::vector<CudaMemory>& lists) {
  if (list.empty()) return nullptr;
  const auto bytes = static_cast<std::int64_t>(list.size() * sizeof(T));
  lists.push_back(gpu.allocate(bytes));
  gpu.upload(lists.back().get(), list.data(), bytes);
  return reinterpret_cast<const T*>(lists.back().get());
}

double median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

Gpu::Gpu(const std::string& library, int number)
    : driver_(CudaDriver::load(library)), more_(find_more(library)) {
  check(more_.cuInit(0), "cuInit");
  int count = 0;
  check(driver_->cuDeviceGetCount(&count), "cuDeviceGetCount");
  if (count == 0) throw Error(Code::internal, "the driver has no GPU");
  check(driver_->cuDeviceGet(&device_, number % count), "cuDeviceGet");
  context_ = CudaContext::primary(driver_, number % count);
  current_ = std::make_unique<CudaScope>(*context_);
  check(current_->result(), "cuCtxPushCurrent");
  stream_ = create_cuda_stream(context_);
  check(driver_->cuEventCreate(&begin_, CU_EVENT_DEFAULT), "cuEventCreate");
  check(driver_->cuEventCreate(&end_, CU_EVENT_DEFAULT), "cuEventCreate");
}

void Gpu::load() {
  module_ = load_cuda_module(context_, kernels::device::kernel_image());
  check(driver_->cuModuleGetFunction(&kernel_, module_.get(), kernels::device::kKernelName),
        "cuModuleGetFunction");
}

std::string Gpu::name() const {
  std::array<char, 128> name{};
  check(driver_->cuDeviceGetName(name.data(), static_cast<int>(name.size()), device_), "cuDeviceGetName");
  return name.data();
}

std::int64_t Gpu::free_memory() const {
  std::size_t free = 0, total = 0;
  check(more_.cuMemGetInfo(&free, &total), "cuMemGetInfo");
  return static_cast<std::int64_t>(free);
}

CudaMemory Gpu::allocate(std::int64_t bytes) const {
  return allocate_cuda_memory(context_, static_cast<std::size_t>(bytes));
}

std::byte* Gpu::allocate_raw(std::int64_t bytes) const {
  CUdeviceptr made = 0;
  check(driver_->cuMemAlloc(&made, static_cast<std::size_t>(bytes)), "cuMemAlloc");
  return reinterpret_cast<std::byte*>(made);
}

void Gpu::free_raw(std::byte* memory) const noexcept {
  cuda_log(*driver_, driver_->cuMemFree(reinterpret_cast<CUdeviceptr>(memory)), "cuMemFree");
}

CudaPinned Gpu::allocate_pinned(std::int64_t bytes) const {
  return allocate_cuda_pinned(context_, static_cast<std::size_t>(bytes));
}

CUipcMemHandle Gpu::export_memory(CUdeviceptr memory) const {
  CUipcMemHandle handle{};
  check(driver_->cuIpcGetMemHandle(&handle, memory), "cuIpcGetMemHandle");
  return handle;
}

CudaMapping Gpu::import_memory(const CUipcMemHandle& handle) const {
  CUdeviceptr mapped = 0;
  check(driver_->cuIpcOpenMemHandle(&mapped, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS),
        "cuIpcOpenMemHandle");
  return {context_, mapped};
}

void Gpu::upload_async(CUdeviceptr to, const void* from, std::int64_t bytes) const {
  check(driver_->cuMemcpyHtoDAsync(to, from, static_cast<std::size_t>(bytes), stream_.get()),
        "cuMemcpyHtoDAsync");
}

void Gpu::download_async(void* to, CUdeviceptr from, std::int64_t bytes) const {
  check(driver_->cuMemcpyDtoHAsync(to, from, static_cast<std::size_t>(bytes), stream_.get()),
        "cuMemcpyDtoHAsync");
}

void Gpu::upload(CUdeviceptr to, const void* from, std::int64_t bytes) const {
  check(more_.cuMemcpyHtoD(to, from, static_cast<std::size_t>(bytes)), "cuMemcpyHtoD");
  // It may return before the bytes are there, and the benchmark's stream does not wait for the default one.
  check(driver_->cuStreamSynchronize(nullptr), "cuStreamSynchronize");
}

void Gpu::download(void* to, CUdeviceptr from, std::int64_t bytes) const {
  check(driver_->cuStreamSynchronize(stream_.get()), "cuStreamSynchronize");
  check(more_.cuMemcpyDtoH(to, from, static_cast<std::size_t>(bytes)), "cuMemcpyDtoH");
}

void Gpu::launch(const kernels::device::Batch& batch, std::int64_t tiles) const {
  void* parameters[] = {const_cast<kernels::device::Batch*>(&batch)};
  check(driver_->cuLaunchKernel(kernel_, static_cast<unsigned>(tiles), 1, 1, kernels::device::kThreads, 1, 1,
                                0, stream_.get(), parameters, nullptr),
        "cuLaunchKernel");
}

void Gpu::copy(CUdeviceptr to, CUdeviceptr from, std::int64_t bytes) const {
  check(more_.cuMemcpyDtoDAsync(to, from, static_cast<std::size_t>(bytes), stream_.get()),
        "cuMemcpyDtoDAsync");
}

void Gpu::copy_2d(const CUDA_MEMCPY2D& what) const {
  check(more_.cuMemcpy2DAsync(&what, stream_.get()), "cuMemcpy2DAsync");
}

double Gpu::time_once(const std::function<void()>& before, const std::function<void()>& call) const {
  float milliseconds = 0;
  before();
  check(driver_->cuEventRecord(begin_, stream_.get()), "cuEventRecord");
  call();
  check(driver_->cuEventRecord(end_, stream_.get()), "cuEventRecord");
  check(more_.cuEventSynchronize(end_), "cuEventSynchronize");
  check(more_.cuEventElapsedTime(&milliseconds, begin_, end_), "cuEventElapsedTime");
  return milliseconds * 1e-3;
}

std::vector<double> Gpu::time(const std::vector<std::function<void()>>& calls, const Timing& timing) const {
  using Clock = std::chrono::steady_clock;
  const CudaMemory lead = timing.lead > 0 ? allocate(2 * timing.lead) : CudaMemory();
  const auto before = [&] {
    if (timing.lead > 0) copy(lead.get() + static_cast<CUdeviceptr>(timing.lead), lead.get(), timing.lead);
  };
  const Clock::time_point start = Clock::now();
  const std::chrono::duration<double> least(timing.warmup_seconds);
  for (int round = 0; round < timing.warmups || Clock::now() - start < least; ++round)
    for (const auto& call : calls) time_once(before, call);
  std::vector<std::vector<double>> times(calls.size());
  for (int round = 0; round < timing.iterations; ++round)
    for (std::size_t c = 0; c < calls.size(); ++c) times[c].push_back(time_once(before, calls[c]));
  std::vector<double> medians;
  for (std::vector<double>& all : times) medians.push_back(median(all));
  return medians;
}

kernels::device::View make_view(const Gpu& gpu, const kernels::Blocks& blocks, std::byte* buffer,
                                std::vector<CudaMemory>& lists) {
  namespace kd = kernels::device;
  const kd::ListSizes sizes = kd::list_sizes(blocks);
  std::vector<kd::StridedDim> dims(static_cast<std::size_t>(sizes.dims));
  std::vector<std::int64_t> offsets(static_cast<std::size_t>(sizes.offsets)),
      ends(static_cast<std::size_t>(sizes.ends)), coarse(static_cast<std::size_t>(sizes.coarse));
  kd::write_lists(blocks, dims.data(), offsets.data(), ends.data(), coarse.data());
  kd::View view{};
  view.base = buffer + blocks.offset;
  view.form = blocks.form;
  view.ndims = blocks.ndims;
  if (blocks.form != kernels::Form::segments) view.run = kd::make_divisor(blocks.run);
  view.dims = put(gpu, dims, lists);
  view.offsets = put(gpu, offsets, lists);
  view.ends = put(gpu, ends, lists);
  view.coarse = put(gpu, coarse, lists);
  view.nruns = blocks.nruns;
  return view;
}

}  // namespace mpix::bench
