// SPDX-License-Identifier: BSD-3-Clause
#include "layout/datatype.hpp"

#include <algorithm>

#include "base/status.hpp"
#include "base/text.hpp"
#include "handle/mpi.hpp"
#include "layout/run_sink.hpp"

namespace mpix::layout {

namespace {

// Open MPI's headers hide the names of the first Fortran binding's combiners, but keep their places for the
// sake of its binary interface.
#ifdef OPEN_MPI
constexpr int kHvectorInteger = MPI_COMBINER_HVECTOR - 1;
constexpr int kHindexedInteger = MPI_COMBINER_HINDEXED - 1;
constexpr int kStructInteger = MPI_COMBINER_STRUCT - 1;
#elif defined(MPI_COMBINER_HVECTOR_INTEGER) || defined(MPICH)
constexpr int kHvectorInteger = MPI_COMBINER_HVECTOR_INTEGER;
constexpr int kHindexedInteger = MPI_COMBINER_HINDEXED_INTEGER;
constexpr int kStructInteger = MPI_COMBINER_STRUCT_INTEGER;
#else
constexpr int kHvectorInteger = -1, kHindexedInteger = -2, kStructInteger = -3;
#endif

Datatype decode_node(MPI_Datatype type);

/// `count` copies of an inner type, the first at `at`.
struct Block {
  std::int64_t at, count;
};

/// A type in the making: collects its shape and what its inner types say about its bounds.
class Draft {
 public:
  void cover(const Datatype& inner, const Block& block);
  Datatype settle(MPI_Datatype type) const;

  Shape shape;

 private:
  bool lb_marked_ = false, ub_marked_ = false;
  std::int64_t lb_ = 0, ub_ = 0;  // of the markers
  std::int64_t inner_ub_ = 0;     // furthest upper bound of an inner type with its padding
  bool any_ = false;
  int align_ = 1;
};

void Draft::cover(const Datatype& inner, const Block& block) {
  if (block.count == 0) return;
  const std::int64_t far = block.count == 1 ? 0 : multiply(block.count - 1, inner.extent());
  const std::int64_t lb = add(add(block.at, std::min<std::int64_t>(0, far)), inner.lb);
  const std::int64_t ub = add(add(block.at, std::max<std::int64_t>(0, far)), inner.ub);
  if (inner.lb_marked) lb_ = lb_marked_ ? std::min(lb_, lb) : lb;
  if (inner.ub_marked) ub_ = ub_marked_ ? std::max(ub_, ub) : ub;
  lb_marked_ = lb_marked_ || inner.lb_marked;
  ub_marked_ = ub_marked_ || inner.ub_marked;
  if (inner.shape.empty()) return;
  inner_ub_ = any_ ? std::max(inner_ub_, ub) : ub;
  any_ = true;
  align_ = std::max(align_, inner.align);
}

std::int64_t padded(std::int64_t lb, std::int64_t ub, int align) {
  const std::int64_t beyond = subtract(ub, lb) % align;
  return beyond == 0 ? ub : add(ub, beyond < 0 ? -beyond : align - beyond);
}

Datatype Draft::settle(MPI_Datatype type) const {
  Datatype made;
  made.shape = shape;
  made.align = align_;
  made.lb_marked = lb_marked_;
  made.ub_marked = ub_marked_;
  made.lb = lb_marked_ ? lb_ : shape.low;
  made.ub = ub_marked_ ? ub_ : shape.high;
  if (ub_marked_ || shape.empty()) return made;
  const std::int64_t most = padded(made.lb, std::max(shape.high, inner_ub_), align_);
  if (most == made.ub) return made;
  MPI_Aint lb = 0, extent = 0;
  check_mpi(MPI_Type_get_extent(type, &lb, &extent), "MPI_Type_get_extent");
  const std::int64_t ub = wrapping_add(lb, extent);
  const bool plausible = lb == made.lb && ub >= made.ub && ub <= most;
  made.ub = plausible ? ub : padded(made.lb, made.ub, align_);
  return made;
}

Datatype decode_vector(MPI_Datatype type, const Contents& contents, bool in_bytes) {
  const Datatype inner = decode_node(contents.type(0));
  const std::int64_t count = contents.number(0), length = contents.number(1);
  const std::int64_t stride = count > 1 ? multiply(contents.number(2), in_bytes ? 1 : inner.extent()) : 0;
  Draft draft;
  if (count > 0 && length > 0) {
    const std::int64_t apart = length > 1 ? inner.extent() : 0;
    draft.shape = repeated(repeated(inner.shape, length, apart), count, stride);
    draft.cover(inner, {0, length});
    draft.cover(inner, {multiply(count - 1, stride), length});
  }
  return draft.settle(type);
}

Datatype decode_contiguous(MPI_Datatype type, const Contents& contents) {
  const Datatype inner = decode_node(contents.type(0));
  const std::int64_t count = contents.number(0);
  Draft draft;
  draft.shape = repeated(inner.shape, count, count > 1 ? inner.extent() : 0);
  draft.cover(inner, {0, count});
  return draft.settle(type);
}

/// Blocks of different lengths. Each `at` is in bytes.
Shape shape_of(const Datatype& inner, const std::vector<Block>& blocks) {
  if (inner.shape.empty() || blocks.empty()) return {};
  const std::int64_t first = blocks[0].count;
  if (std::all_of(blocks.begin(), blocks.end(),
                  [first](const Block& block) { return block.count == first; })) {
    std::vector<std::int64_t> places;
    places.reserve(blocks.size());
    for (const Block& block : blocks) places.push_back(block.at);
    return placed(repeated(inner.shape, first, inner.extent()), places);
  }
  const bool dense = inner.shape.is_run() && inner.shape.run == inner.extent();
  std::int64_t runs = 0;
  for (const Block& block : blocks) runs = add(runs, dense ? 1 : multiply(inner.shape.nruns, block.count));
  RunSink sink(runs);
  for (const Block& block : blocks) {
    if (dense)
      sink.push(add(block.at, inner.shape.offset), multiply(inner.shape.run, block.count));
    else
      for (std::int64_t i = 0; i < block.count; ++i)
        sink.append(inner.shape, add(block.at, multiply(i, inner.extent())));
  }
  Shape shape = sink.take();
  sink.finish();
  return shape;
}

Datatype decode_blocks(MPI_Datatype type, const Datatype& inner, const std::vector<Block>& blocks) {
  Draft draft;
  for (const Block& block : blocks) draft.cover(inner, block);
  draft.shape = shape_of(inner, blocks);
  return draft.settle(type);
}

Datatype decode_indexed(MPI_Datatype type, const Contents& contents, bool in_bytes) {
  const Datatype inner = decode_node(contents.type(0));
  const auto count = static_cast<std::size_t>(contents.number(0));
  const std::int64_t unit = in_bytes ? 1 : inner.extent();
  std::vector<Block> blocks;
  blocks.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t length = contents.number(1 + i);
    if (length > 0) blocks.push_back({multiply(contents.number(1 + count + i), unit), length});
  }
  return decode_blocks(type, inner, blocks);
}

Datatype decode_indexed_block(MPI_Datatype type, const Contents& contents, bool in_bytes) {
  const Datatype inner = decode_node(contents.type(0));
  const auto count = static_cast<std::size_t>(contents.number(0));
  const std::int64_t length = contents.number(1);
  const std::int64_t unit = in_bytes ? 1 : inner.extent();
  std::vector<Block> blocks;
  if (length > 0) blocks.reserve(count);
  for (std::size_t i = 0; i < count && length > 0; ++i)
    blocks.push_back({multiply(contents.number(2 + i), unit), length});
  return decode_blocks(type, inner, blocks);
}

Datatype decode_struct(MPI_Datatype type, const Contents& contents) {
  const auto count = static_cast<std::size_t>(contents.number(0));
  Draft draft;
  std::vector<Piece> pieces;
  MPI_Datatype last = MPI_DATATYPE_NULL;
  Datatype inner;
  for (std::size_t i = 0; i < count; ++i) {
    const Block block{contents.number(1 + count + i), contents.number(1 + i)};
    if (block.count == 0) continue;
    if (contents.type(i) != last) inner = decode_node(last = contents.type(i));
    draft.cover(inner, block);
    pieces.emplace_back(repeated(inner.shape, block.count, block.count > 1 ? inner.extent() : 0), block.at);
  }
  draft.shape = concatenated(pieces);
  return draft.settle(type);
}

Datatype decode_array(const Contents& contents) {
  const Datatype inner = decode_node(contents.type(0));
  ArrayPart part = contents.combiner() == MPI_COMBINER_SUBARRAY ? decode_subarray(contents, inner)
                                                                : decode_darray(contents, inner);
  Datatype made;
  made.shape = std::move(part.shape);
  made.ub = multiply(part.elements, inner.extent());
  made.lb_marked = made.ub_marked = true;
  made.align = inner.align;
  return made;
}

Datatype decode_resized(const Contents& contents) {
  Datatype made = decode_node(contents.type(0));
  made.lb = contents.number(0);
  made.ub = add(made.lb, contents.number(1));
  made.lb_marked = made.ub_marked = true;
  return made;
}

Datatype decode_node(MPI_Datatype type) {
  const Contents contents(type);
  const int combiner = contents.combiner();
  if (is_predefined(combiner)) return decode_predefined(type, contents);
  if (combiner == kHvectorInteger) return decode_vector(type, contents, true);
  if (combiner == kHindexedInteger) return decode_indexed(type, contents, true);
  if (combiner == kStructInteger) return decode_struct(type, contents);
  switch (combiner) {
    case MPI_COMBINER_DUP:
      return decode_node(contents.type(0));
    case MPI_COMBINER_CONTIGUOUS:
      return decode_contiguous(type, contents);
    case MPI_COMBINER_VECTOR:
      return decode_vector(type, contents, false);
    case MPI_COMBINER_HVECTOR:
      return decode_vector(type, contents, true);
    case MPI_COMBINER_INDEXED:
      return decode_indexed(type, contents, false);
    case MPI_COMBINER_HINDEXED:
      return decode_indexed(type, contents, true);
    case MPI_COMBINER_INDEXED_BLOCK:
      return decode_indexed_block(type, contents, false);
    case MPI_COMBINER_HINDEXED_BLOCK:
      return decode_indexed_block(type, contents, true);
    case MPI_COMBINER_STRUCT:
      return decode_struct(type, contents);
    case MPI_COMBINER_SUBARRAY:
    case MPI_COMBINER_DARRAY:
      return decode_array(contents);
    case MPI_COMBINER_RESIZED:
      return decode_resized(contents);
    default:
      throw Error(Code::type,
                  text("a datatype has combiner ", combiner, ", which this library does not know"));
  }
}

}  // namespace

Datatype decode(MPI_Datatype type) {
  if (type == MPI_DATATYPE_NULL) throw Error(Code::type, "the datatype is MPI_DATATYPE_NULL");
  try {
    return decode_node(type);
  } catch (const Overflow&) {
    throw Error(Code::type, "the datatype reaches further than 64-bit offsets");
  }
}

}  // namespace mpix::layout
