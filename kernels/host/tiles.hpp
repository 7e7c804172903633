// SPDX-License-Identifier: BSD-3-Clause
/// Matrix transposes: runs shorter than a line that the innermost dimension takes from far apart, while the
/// next dimension goes to the neighbouring run. In listing order every run would cost a line of memory; here
/// the runs of a line are moved together.
#pragma once

#include "kernels/host/move.hpp"
#include "kernels/host/rows.hpp"

namespace mpix::kernels::host {

/// `columns` runs a stride apart make a listed row, and the next listed row lies `run` bytes further on.
/// Listed rows are contiguous on the flat side.
template <class Isa>
struct Tile {
  using M = Move<Isa>;

  Address first;
  std::int64_t stride;
  std::int64_t columns;
  std::int64_t rows;
  Address flat;

  /// Lines that are put together before they are streamed.
  static constexpr std::int64_t kBatch = 8;

  static bool takes(std::int64_t run) { return run == 4 || run == 8 || run == 16 || run == 32; }

  template <bool kGather>
  static void move(const Tile& tile, std::int64_t run, bool stream) {
    switch (run) {
      case 4:
        return groups<kGather, 4>(tile, stream);
      case 8:
        return groups<kGather, 8>(tile, stream);
      case 16:
        return groups<kGather, 16>(tile, stream);
      default:
        return groups<kGather, 32>(tile, stream);
    }
  }

  /// Cuts the listed rows into groups, each of which fills a line where the places allow that.
  template <bool kGather, std::size_t kRun>
  static void groups(Tile tile, bool stream) {
    constexpr auto kFull = static_cast<std::int64_t>(kLine / kRun);
    constexpr auto kRow = static_cast<Address>(kRun);
    std::int64_t n = (kFull - static_cast<std::int64_t>(tile.first % kLine / kRun)) % kFull;
    for (std::int64_t left = tile.rows; left > 0; left -= n, n = kFull) {
      if (n > left) n = left;
      if (n == kFull) {
        const bool lines = tile.first % kLine == 0 && static_cast<Address>(tile.stride) % kLine == 0;
        if (!kGather && stream && lines) {
          stream_group<kRun>(tile);
        } else {
          group<kGather, kRun>(tile, kFull);
        }
      } else if (n > 0) {
        group<kGather, kRun>(tile, n);
      }
      tile.first += static_cast<Address>(n) * kRow;
      tile.flat += static_cast<Address>(n * tile.columns) * kRow;
    }
  }

  /// Lines of a few columns further on, and of the next group at the end.
  [[gnu::always_inline]] void prefetch(std::int64_t column) const {
    std::int64_t ahead = column + Rows<Isa>::kAheadRows;
    Address from = first;
    if (ahead >= columns) {
      ahead -= columns;
      from += kLine;
    }
    M::prefetch(from + static_cast<Address>(ahead) * static_cast<Address>(stride));
  }

  template <bool kGather, std::size_t kRun>
  [[gnu::always_inline]] static void group(const Tile& tile, std::int64_t n) {
    const Address step = static_cast<Address>(tile.columns) * kRun;
    for (std::int64_t j = 0; j < tile.columns; ++j) {
      const Address place = tile.first + static_cast<Address>(j) * static_cast<Address>(tile.stride);
      const Address flat = tile.flat + static_cast<Address>(j) * kRun;
      tile.prefetch(j);
#pragma GCC unroll 16
      for (std::int64_t k = 0; k < n; ++k) {
        const Address near = flat + static_cast<Address>(k) * step;
        const Address far = place + static_cast<Address>(k) * kRun;
        M::template fixed<kRun>(kGather ? near : far, kGather ? far : near);
      }
    }
  }

  template <std::size_t kRun>
  static void stream_group(const Tile& tile) {
    alignas(kLine) std::byte lines[static_cast<std::size_t>(kBatch) * kLine];
    const Address stage = reinterpret_cast<Address>(&lines[0]);
    const Address step = static_cast<Address>(tile.columns) * kRun;
    for (std::int64_t j = 0; j < tile.columns; j += kBatch) {
      const std::int64_t n = tile.columns - j < kBatch ? tile.columns - j : kBatch;
      for (std::int64_t i = 0; i < n; ++i) {
#pragma GCC unroll 16
        for (std::size_t k = 0; k < kLine / kRun; ++k) {
          M::template fixed<kRun>(stage + static_cast<Address>(i) * kLine + k * kRun,
                                  tile.flat + static_cast<Address>(j + i) * kRun + k * step);
        }
      }
      for (std::int64_t i = 0; i < n; ++i) {
        const Address place = tile.first + static_cast<Address>(j + i) * static_cast<Address>(tile.stride);
        Isa::stream_line(M::writable(place),
                         Isa::load_line(M::readable(stage + static_cast<Address>(i) * kLine)));
      }
    }
  }
};

}  // namespace mpix::kernels::host
