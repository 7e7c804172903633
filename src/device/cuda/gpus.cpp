// SPDX-License-Identifier: BSD-3-Clause
// GPUs that the CUDA driver of this process finds.
#include <array>
#include <exception>
#include <map>
#include <mutex>
#include <utility>

#include "base/log.hpp"
#include "base/text.hpp"
#include "device/cuda/queue.hpp"
#include "device/cuda/shared.hpp"

namespace mpix::device {
namespace cuda {
namespace {

class CudaOffsets : public Offsets {
 public:
  CudaOffsets(std::shared_ptr<Shared> shared, SetUp::Made made) noexcept
      : shared_(std::move(shared)), made_(std::move(made)) {}
  CudaOffsets(const CudaOffsets&) = delete;
  CudaOffsets& operator=(const CudaOffsets&) = delete;
  ~CudaOffsets() override { shared_->set_up.dispose(std::move(made_.memory)); }

  kernels::GpuOffsets place() const noexcept override {
    return {data(), made_.alignment, made_.memory.context()->number()};
  }
  std::int64_t least() const noexcept override { return made_.least; }
  std::int64_t most() const noexcept override { return made_.most; }
  void read(std::span<std::int64_t> to) const override {
    shared_->set_up.read(made_.memory.context(), to.data(), data(), to.size_bytes());
  }

 private:
  const std::int64_t* data() const noexcept {
    return reinterpret_cast<const std::int64_t*>(made_.memory.get());
  }

  std::shared_ptr<Shared> shared_;
  SetUp::Made made_;
};

class CudaGpus : public Gpus {
 public:
  explicit CudaGpus(std::shared_ptr<Shared> shared) noexcept : shared_(std::move(shared)) {}
  CudaGpus(const CudaGpus&) = delete;
  CudaGpus& operator=(const CudaGpus&) = delete;
  ~CudaGpus() override { shared_->holds.open_all(); }  // what goes then may wait for their streams

  std::shared_ptr<std::byte> allocate(std::uint64_t gpu, std::size_t bytes) override;
  bool held() const noexcept override { return shared_->disposal->held(); }
  bool lives(std::uint64_t gpu) noexcept override { return shared_->contexts.lives(gpu); }
  void copy_to_host(std::uint64_t gpu, std::byte* to, const std::byte* from, std::size_t bytes) override {
    shared_->set_up.read(shared_->contexts.numbered(gpu), to, from, bytes);
  }
  Facts look(const void* address) noexcept override { return shared_->memory.look(address).facts; }
  std::uint64_t number_of(const Facts& facts) override { return context_of(facts)->number(); }
  std::unique_ptr<Queue> make_queue(const Facts& facts) override;
  void read(void* to, const void* from, std::size_t bytes, const Facts& facts) override {
    shared_->set_up.read(context_of(facts), to, from, bytes);
  }
  std::shared_ptr<const Offsets> make_offsets(const std::int64_t* indices, std::int64_t count,
                                              std::int64_t extent, const Facts& facts) override;
  std::optional<IpcPlace> export_place(const void* address, const Facts& facts) noexcept override;
  std::shared_ptr<const Imported> import(std::uint64_t number, const IpcPlace& place) override;
  std::optional<IpcPlace> probe(int ordinal) noexcept override;
  std::unique_ptr<Mark> mark(void* stream) override {
    return make_mark(shared_->contexts, static_cast<CUstream>(stream));
  }
  std::unique_ptr<Hold> hold(void* stream) override {
    return shared_->holds.hold(static_cast<CUstream>(stream));
  }
  std::string description() const override;

 private:
  CudaContextPointer context_of(const Facts& facts);

  std::shared_ptr<Shared> shared_;
  std::mutex mutex_;
  std::map<int, CudaMemory> probes_;
};

CudaContextPointer CudaGpus::context_of(const Facts& facts) {
  const auto known = shared_->memory.find(facts.buffer);
  return shared_->contexts.get(known ? known->context : nullptr, facts.ordinal);
}

std::shared_ptr<std::byte> CudaGpus::allocate(std::uint64_t gpu, std::size_t bytes) {
  struct Owner {
    Owner(std::shared_ptr<Disposal> to, CudaMemory of) : disposal(std::move(to)), memory(std::move(of)) {}
    Owner(const Owner&) = delete;
    Owner& operator=(const Owner&) = delete;
    ~Owner() { disposal->put(std::move(memory)); }
    std::shared_ptr<Disposal> disposal;
    CudaMemory memory;
  };
  const auto owner = std::make_shared<Owner>(shared_->disposal,
                                             allocate_cuda_memory(shared_->contexts.numbered(gpu), bytes));
  return {owner, reinterpret_cast<std::byte*>(owner->memory.get())};
}

std::unique_ptr<Queue> CudaGpus::make_queue(const Facts& facts) {
  shared_->disposal->sweep();
  return std::make_unique<CopyQueue>(shared_, context_of(facts));
}

std::shared_ptr<const Offsets> CudaGpus::make_offsets(const std::int64_t* indices, std::int64_t count,
                                                      std::int64_t extent, const Facts& facts) {
  shared_->disposal->sweep();
  const CudaContextPointer context = context_of(facts);
  return std::make_shared<const CudaOffsets>(shared_,
                                             shared_->set_up.make_offsets(context, indices, count, extent));
}

std::optional<IpcPlace> CudaGpus::export_place(const void* address, const Facts& facts) noexcept {
  if (facts.kind != Kind::device) return {};
  return shared_->exports.place(address);
}

std::shared_ptr<const Imported> CudaGpus::import(std::uint64_t number, const IpcPlace& place) {
  const int ordinal = shared_->contexts.numbered(number)->ordinal();
  if (shared_->contexts.importer(ordinal)->number() != number)
    throw Error(Code::peer, "another context on this GPU maps memory of other processes");
  return shared_->imports.get(number, place);
}

std::optional<IpcPlace> CudaGpus::probe(int ordinal) noexcept {
  try {
    const std::lock_guard guard(mutex_);
    CudaMemory& memory = probes_[ordinal];
    if (memory.get() == 0 || !memory.context()->alive())
      memory = allocate_cuda_memory(shared_->contexts.of(ordinal), 1);
    return shared_->exports.place(reinterpret_cast<const void*>(memory.get()));
  } catch (const std::exception& error) {
    log::debug("nothing to probe GPU ", ordinal, " with: ", error.what());
    return {};
  }
}

std::string CudaGpus::description() const {
  const CudaDriver& driver = *shared_->driver;
  int version = 0, count = 0;
  const CUresult asked = driver.cuDriverGetVersion(&version);
  cuda_log(driver, asked, "cuDriverGetVersion");
  std::string words = text("CUDA driver ", version / 1000, ".", version % 1000 / 10);
  if (driver.cuDeviceGetCount(&count) != CUDA_SUCCESS) return words + ", not initialised";
  words += text(", ", count, count == 1 ? " GPU" : " GPUs");
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    CUdevice device = 0;
    std::array<char, 128> name{};
    if (driver.cuDeviceGet(&device, ordinal) != CUDA_SUCCESS ||
        driver.cuDeviceGetName(name.data(), static_cast<int>(name.size()), device) != CUDA_SUCCESS)
      continue;
    words += text(ordinal == 0 ? ": " : ", ", name.data());
  }
  return words;
}

}  // namespace
}  // namespace cuda

std::unique_ptr<Gpus> find_gpus(const Config& config, memory::Regions& regions, std::string& why) noexcept {
  try {
    if (!config.cuda) {
      why = "switched off by MPIX_LAYOUT_CUDA";
      return nullptr;
    }
    auto shared = std::make_shared<cuda::Shared>(CudaDriver::load(config.cuda_driver), regions);
    return std::make_unique<cuda::CudaGpus>(std::move(shared));
  } catch (const std::exception& error) {
    why = error.what();
    return nullptr;
  }
}

}  // namespace mpix::device
