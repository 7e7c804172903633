// SPDX-License-Identifier: BSD-3-Clause
/// Parts of arrays: MPI_Type_create_subarray (MPI 4.0, section 5.1.3) and MPI_Type_create_darray (5.1.4).
#include <algorithm>

#include "base/status.hpp"
#include "base/text.hpp"
#include "layout/datatype.hpp"

namespace mpix::layout {

namespace {

/// Dimension that is the `i`-th from the fastest.
std::size_t dimension(std::size_t i, std::size_t rank, std::int64_t order) {
  return order == MPI_ORDER_C ? rank - 1 - i : i;
}

/// One dimension of a block-cyclic distribution, as one process of its dimension of the grid sees it.
struct Cyclic {
  std::int64_t size;       ///< of the array
  std::int64_t block;      ///< elements of a full block
  std::int64_t processes;  ///< along this dimension
  std::int64_t place;      ///< of this process among them
};

/// `inner`, `stride` apart along the whole dimension, reduced to what the process owns.
Shape distribute(const Shape& inner, std::int64_t stride, const Cyclic& cyclic) {
  const std::int64_t full = cyclic.size / cyclic.block;
  const std::int64_t rest = cyclic.size % cyclic.block;
  const std::int64_t mine = full > cyclic.place ? (full - cyclic.place - 1) / cyclic.processes + 1 : 0;
  std::vector<Piece> pieces;
  if (mine > 0) {
    const Shape block = repeated(inner, cyclic.block, stride);
    const std::int64_t apart = mine > 1 ? multiply(multiply(cyclic.processes, cyclic.block), stride) : 0;
    pieces.emplace_back(repeated(block, mine, apart), multiply(multiply(cyclic.place, cyclic.block), stride));
  }
  if (rest > 0 && full % cyclic.processes == cyclic.place)
    pieces.emplace_back(repeated(inner, rest, stride), multiply(multiply(full, cyclic.block), stride));
  return concatenated(pieces);
}

std::int64_t block_size(std::int64_t kind, std::int64_t argument, std::int64_t size, std::int64_t processes) {
  if (kind == MPI_DISTRIBUTE_NONE) return std::max<std::int64_t>(1, size);
  if (argument != MPI_DISTRIBUTE_DFLT_DARG) return argument;
  if (kind == MPI_DISTRIBUTE_CYCLIC) return 1;
  return std::max<std::int64_t>(1, (size + processes - 1) / processes);
}

}  // namespace

ArrayPart decode_subarray(const Contents& contents, const Datatype& element) {
  const auto rank = static_cast<std::size_t>(contents.number(0));
  const std::int64_t order = contents.number(1 + 3 * rank);
  ArrayPart part{element.shape, 1};
  for (std::size_t i = 0; i < rank; ++i) {
    const std::size_t dim = dimension(i, rank, order);
    const std::int64_t stride = multiply(part.elements, element.extent());
    const std::int64_t start = contents.number(1 + 2 * rank + dim);
    part.shape =
        shifted(repeated(part.shape, contents.number(1 + rank + dim), stride), multiply(start, stride));
    part.elements = multiply(part.elements, contents.number(1 + dim));
  }
  return part;
}

ArrayPart decode_darray(const Contents& contents, const Datatype& element) {
  const auto rank = static_cast<std::size_t>(contents.number(2));
  const std::int64_t order = contents.number(3 + 4 * rank);
  std::vector<Cyclic> dims(rank);
  std::int64_t process = contents.number(1);
  for (std::size_t dim = rank; dim-- > 0;) {  // the grid is in row-major order whatever the array's order
    const std::int64_t size = contents.number(3 + dim), processes = contents.number(3 + 3 * rank + dim);
    if (processes < 1)
      throw Error(Code::type, text("a darray datatype has ", processes, " processes in dimension ", dim));
    const std::int64_t kind = contents.number(3 + rank + dim), argument = contents.number(3 + 2 * rank + dim);
    dims[dim] = {size, block_size(kind, argument, size, processes), processes, process % processes};
    process /= processes;
  }
  ArrayPart part{element.shape, 1};
  for (std::size_t i = 0; i < rank; ++i) {
    const Cyclic& cyclic = dims[dimension(i, rank, order)];
    part.shape = distribute(part.shape, multiply(part.elements, element.extent()), cyclic);
    part.elements = multiply(part.elements, cyclic.size);
  }
  return part;
}

}  // namespace mpix::layout
