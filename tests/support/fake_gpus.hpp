// SPDX-License-Identifier: BSD-3-Clause
/// GPUs of one process, for tests of the engine: memory whose bytes the host does not see, and queues that
/// take, finish and refuse copies as a seed says.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "device/device.hpp"
#include "tests/support/byte_map.hpp"
#include "tests/support/rng.hpp"

namespace mpix::test {

struct GpuFaults {
  int refuse = 0;              ///< times out of a hundred that a copy or a launch is refused for now
  int linger = 0;              ///< times out of a hundred that what is under way is not done yet
  int fail_launch = 0;         ///< the n-th launch of a queue fails; 0 for never
  bool no_export = false;      ///< nothing can be exported
  bool no_import = false;      ///< nothing can be imported
  bool import_probes = false;  ///< nothing else can
};

class FakeGpus final : public device::Gpus {
 public:
  FakeGpus(std::uint64_t seed, const GpuFaults& faults) : rng_(seed), faults_(faults) {}

  /// From now on `memory` is the GPU's: what it holds moves to where the host does not see it.
  void adopt(int ordinal, std::span<std::byte> memory);
  /// Ends that, and puts the bytes back.
  void give_back(std::span<std::byte> memory);
  /// Where the bytes at `address` are; itself for memory that is the host's.
  std::byte* bytes_at(std::uintptr_t address);

  std::shared_ptr<std::byte> allocate(std::uint64_t, std::size_t) override {
    throw Error(Code::no_memory, "fake GPUs have no memory to give away");
  }
  bool lives(std::uint64_t) noexcept override { return true; }
  void copy_to_host(std::uint64_t, std::byte* to, const std::byte* from, std::size_t bytes) override {
    read(to, from, bytes, {});
  }
  device::Facts look(const void* address) noexcept override;
  std::uint64_t number_of(const device::Facts& facts) override {
    return static_cast<std::uint64_t>(facts.ordinal) + 1;
  }
  std::unique_ptr<device::Queue> make_queue(const device::Facts& facts) override;
  void read(void* to, const void* from, std::size_t bytes, const device::Facts&) override {
    std::copy_n(bytes_at(reinterpret_cast<std::uintptr_t>(from)), bytes, static_cast<std::byte*>(to));
  }
  std::shared_ptr<const device::Offsets> make_offsets(const std::int64_t*, std::int64_t, std::int64_t,
                                                      const device::Facts&) override {
    throw Error(Code::internal, "fake GPUs make no offsets");
  }
  std::optional<device::IpcPlace> export_place(const void* address,
                                               const device::Facts& facts) noexcept override;
  std::shared_ptr<const device::Imported> import(std::uint64_t number,
                                                 const device::IpcPlace& place) override;
  std::optional<device::IpcPlace> probe(int ordinal) noexcept override;
  std::unique_ptr<device::Mark> mark(void* stream) override;
  std::unique_ptr<device::Hold> hold(void* stream) override;
  std::string description() const override { return "fake"; }

  /// Queue::prepare was called so often.
  void prepared() { ++prepared_; }
  int prepared_times() const { return prepared_; }
  const GpuFaults& faults() const { return faults_; }

 private:
  struct Allocation {
    int ordinal;
    std::uint64_t buffer;
    std::vector<std::byte> bytes;
  };
  std::mutex mutex_;
  int prepared_ = 0;
  Rng rng_;
  GpuFaults faults_;
  std::uint64_t next_buffer_ = 1;
  std::map<std::uintptr_t, Allocation> allocations_;  // by address
};

/// Memory that is a GPU's as long as this lives.
class Adopted {
 public:
  Adopted(FakeGpus& gpus, int ordinal, std::span<std::byte> memory) : gpus_(gpus), memory_(memory) {
    gpus.adopt(ordinal, memory);
  }
  Adopted(const Adopted&) = delete;
  Adopted& operator=(const Adopted&) = delete;
  ~Adopted() { gpus_.give_back(memory_); }

 private:
  FakeGpus& gpus_;
  std::span<std::byte> memory_;
};

/// What FakeGpus::mark and hold take for a stream.
struct FakeStream {
  bool reached = false;
  bool held = false;
};

}  // namespace mpix::test
