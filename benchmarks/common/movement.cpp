// SPDX-License-Identifier: BSD-3-Clause
#include "benchmarks/common/movement.hpp"

#include <cstring>

#include "benchmarks/gpu/gpu.hpp"

namespace mpix::bench {
namespace {

bool on_gpu(const Buffer& buffer) {
  return buffer.memory() == Memory::cuda;
}

class HostGather final : public Movement {
 public:
  HostGather(const Side& side, const Buffer& buffer, const Buffer& flat)
      : side_(side), base_(buffer.data()), flat_(flat.data()) {}
  void run() const override {
    std::byte* out = flat_;
    for_each_run(side_, [&](int, std::int64_t offset, std::int64_t length) {
      std::memcpy(out, base_ + offset, static_cast<std::size_t>(length));
      out += length;
    });
  }

 private:
  const Side& side_;
  const std::byte* base_;
  std::byte* flat_;
};

class HostScatter final : public Movement {
 public:
  HostScatter(const Side& side, const Buffer& flat, const Buffer& buffer)
      : side_(side), flat_(flat.data()), base_(buffer.data()) {}
  void run() const override {
    const std::byte* in = flat_;
    for_each_run(side_, [&](int, std::int64_t offset, std::int64_t length) {
      std::memcpy(base_ + offset, in, static_cast<std::size_t>(length));
      in += length;
    });
  }

 private:
  const Side& side_;
  const std::byte* flat_;
  std::byte* base_;
};

class HostRows final : public Movement {
 public:
  HostRows(const std::vector<RowCopy>& copies, std::int64_t row, const Buffer& from, const Buffer& to)
      : copies_(copies), row_(row), from_(from.data()), to_(to.data()) {}
  void run() const override { copy_rows(copies_, row_, from_, to_); }

 private:
  const std::vector<RowCopy>& copies_;
  std::int64_t row_;
  const std::byte* from_;
  std::byte* to_;
};

}  // namespace

std::unique_ptr<Movement> make_gather(const Side& side, const Buffer& buffer, const Buffer& flat) {
  if (on_gpu(buffer)) return gpu::make_packing(side, buffer, flat, true);
  return std::make_unique<HostGather>(side, buffer, flat);
}

std::unique_ptr<Movement> make_scatter(const Side& side, const Buffer& flat, const Buffer& buffer) {
  if (on_gpu(buffer)) return gpu::make_packing(side, buffer, flat, false);
  return std::make_unique<HostScatter>(side, flat, buffer);
}

void copy_rows(const std::vector<RowCopy>& copies, std::int64_t row, const std::byte* from, std::byte* to) {
  for (const RowCopy& copy : copies)
    std::memcpy(to + copy.to, from + copy.from, static_cast<std::size_t>(row));
}

std::unique_ptr<Movement> make_row_movement(const std::vector<RowCopy>& copies, std::int64_t row,
                                            const Buffer& from, const Buffer& to) {
  if (on_gpu(from)) return gpu::make_row_movement(copies, row, from, to);
  return std::make_unique<HostRows>(copies, row, from, to);
}

std::unique_ptr<MpiMemory> make_mpi_memory(const Buffer& buffer) {
  return on_gpu(buffer) ? gpu::make_mpi_memory(buffer) : std::make_unique<MpiMemory>(buffer);
}

void settle(const Buffer& buffer) {
  if (on_gpu(buffer)) gpu::synchronize();
}

}  // namespace mpix::bench
