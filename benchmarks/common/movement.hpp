// SPDX-License-Identifier: BSD-3-Clause
/// How the hand-written exchanges bring data to the MPI and away from it, in memory of the host or of a GPU.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "benchmarks/common/buffer.hpp"
#include "benchmarks/common/exchange.hpp"

namespace mpix::bench {

/// Copies between two buffers of one kind of memory that are made again and again. On a GPU run() only starts
/// them; they and the copies of MpiMemory take place in the order in which they were started.
class Movement {
 public:
  Movement() = default;
  Movement(const Movement&) = delete;
  Movement& operator=(const Movement&) = delete;
  virtual ~Movement() = default;
  virtual void run() const = 0;
};

/// From the blocks of `side` in `buffer` to the same bytes end to end in `flat`, or back. All arguments must
/// outlive the movement, here and below.
std::unique_ptr<Movement> make_gather(const Side& side, const Buffer& buffer, const Buffer& flat);
std::unique_ptr<Movement> make_scatter(const Side& side, const Buffer& flat, const Buffer& buffer);

/// Byte offsets of a row to copy.
struct RowCopy {
  std::int64_t from, to;
};
void copy_rows(const std::vector<RowCopy>& copies, std::int64_t row, const std::byte* from, std::byte* to);
std::unique_ptr<Movement> make_row_movement(const std::vector<RowCopy>& copies, std::int64_t row,
                                            const Buffer& from, const Buffer& to);

/// What stands for a buffer in calls of the MPI: the buffer itself, or memory of the host where the buffer is
/// on a GPU and the MPI takes none of that. The buffer must outlive it.
class MpiMemory {
 public:
  explicit MpiMemory(const Buffer& buffer) : data_(buffer.data()) {}
  MpiMemory(const MpiMemory&) = delete;
  MpiMemory& operator=(const MpiMemory&) = delete;
  virtual ~MpiMemory() = default;

  std::byte* data() const { return data_; }
  /// Before the MPI reads the blocks of `arguments`: waits for the movements into the buffer.
  virtual void give(const VArguments&) const {}
  /// After the MPI has written the blocks of `arguments`, before movements out of the buffer.
  virtual void take(const VArguments&) const {}

 protected:
  void stand_in(std::byte* data) { data_ = data; }

 private:
  std::byte* data_;
};
std::unique_ptr<MpiMemory> make_mpi_memory(const Buffer& buffer);

/// Waits for the movements into `buffer`.
void settle(const Buffer& buffer);

}  // namespace mpix::bench
