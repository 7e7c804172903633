// SPDX-License-Identifier: BSD-3-Clause
/// Blocks for kernel_bench: in memory of their own, and rows in random order.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "benchmarks/gpu/device.hpp"
#include "kernels/device/lists.hpp"

namespace mpix::bench {

using kernels::Blocks;
using kernels::Form;

enum class Place : char { gpu = 'D', host = 'H' };

/// Blocks in memory of their own, with their lists on the GPU.
class Listed {
 public:
  Listed(const Gpu& gpu, const Blocks& blocks, std::int64_t extent, Place place = Place::gpu)
      : gpu_(gpu), blocks_(blocks), extent_(extent), place_(place) {
    if (place == Place::gpu)
      memory_ = gpu.allocate(extent);
    else
      pinned_ = gpu.allocate_pinned(extent);
    view_ = make_view(gpu, blocks, base(), lists_);
  }
  const kernels::device::View& view() const { return view_; }
  const Blocks& blocks() const { return blocks_; }
  Place place() const { return place_; }
  std::byte* base() const {
    return place_ == Place::gpu ? reinterpret_cast<std::byte*>(memory_.get())
                                : static_cast<std::byte*>(pinned_.get());
  }
  CUdeviceptr address() const { return reinterpret_cast<CUdeviceptr>(base()); }
  std::int64_t extent() const { return extent_; }
  std::int64_t length_of(std::int64_t run) const {
    return blocks_.form == Form::segments ? blocks_.lengths[run] : blocks_.run;
  }
  /// The offset of run number `run`.
  std::int64_t offset_of(std::int64_t run) const {
    if (blocks_.form != Form::strided) return blocks_.offset + blocks_.offsets[run];
    std::int64_t offset = blocks_.offset;
    for (int d = blocks_.ndims - 1; d >= 0; --d) {
      offset += run % blocks_.dims[d].count * blocks_.dims[d].stride;
      run /= blocks_.dims[d].count;
    }
    return offset;
  }
  /// All bytes of the memory; nothing may be under way on the GPU.
  void write(const std::vector<std::byte>& content) const {
    if (place_ == Place::gpu)
      gpu_.upload(address(), content.data(), extent_);
    else
      std::copy(content.begin(), content.end(), base());
  }
  std::vector<std::byte> read() const {
    std::vector<std::byte> content(static_cast<std::size_t>(extent_));
    if (place_ == Place::gpu)
      gpu_.download(content.data(), address(), extent_);
    else
      std::copy_n(base(), extent_, content.begin());
    return content;
  }

 private:
  const Gpu& gpu_;
  Blocks blocks_;
  std::int64_t extent_;
  Place place_;
  CudaMemory memory_;
  CudaPinned pinned_;
  std::vector<CudaMemory> lists_;
  kernels::device::View view_{};
};

inline Blocks flat_blocks(std::int64_t bytes) {
  Blocks blocks;
  blocks.bytes = blocks.run = bytes;
  blocks.nruns = 1;
  return blocks;
}

/// Rows that lie one behind the other, listed in random order.
struct Rows {
  std::vector<std::int64_t> offsets, lengths;  ///< no lengths: all have `row` bytes
  std::int64_t row, bytes;

  /// `total` bytes, or less by a part of a row.
  Rows(std::int64_t length, std::int64_t total)
      : row(length), bytes(std::max<std::int64_t>(total / length, 1) * length) {
    for (std::int64_t at = 0; at < bytes; at += row) offsets.push_back(at);
  }
  /// Lengths from one to nearly twice `row`, in units of the largest word that divides it.
  static Rows varying(std::int64_t row, std::int64_t total) {
    Rows rows(row, row);
    const std::int64_t unit = kernels::device::width_of(static_cast<std::uint64_t>(row));
    std::mt19937_64 random(3);
    rows.offsets.clear();
    for (rows.bytes = 0; rows.bytes + 2 * row <= std::max(total, 2 * row);
         rows.bytes += rows.lengths.back()) {
      rows.offsets.push_back(rows.bytes);
      rows.lengths.push_back(
          unit + unit * static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(2 * row / unit - 1)));
    }
    return rows;
  }
  Rows& shuffle(std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::shuffle(offsets.begin(), offsets.end(), random);
    random.seed(seed);
    std::shuffle(lengths.begin(), lengths.end(), random);  // as many: the same order
    return *this;
  }
  /// To be used while this lives.
  Blocks blocks() const {
    Blocks blocks;
    blocks.form = lengths.empty() ? Form::indexed : Form::segments;
    blocks.run = lengths.empty() ? row : 0;
    blocks.nruns = static_cast<std::int64_t>(offsets.size());
    blocks.bytes = bytes;
    blocks.offsets = offsets.data();
    blocks.lengths = lengths.empty() ? nullptr : lengths.data();
    return blocks;
  }
};

}  // namespace mpix::bench
