// SPDX-License-Identifier: BSD-3-Clause
#include "layout/shape.hpp"

#include <algorithm>

#include "layout/run_sink.hpp"

namespace mpix::layout {

using kernels::Dim;
using kernels::Form;

Shape make_run(std::int64_t offset, std::int64_t length) {
  Shape shape;
  if (length == 0) return shape;
  shape.bytes = shape.run = length;
  shape.offset = shape.low = offset;
  shape.high = add(offset, length);
  shape.nruns = 1;
  return shape;
}

Shape shifted(Shape shape, std::int64_t by) {
  if (shape.empty()) return shape;
  shape.low = add(shape.low, by);
  shape.high = add(shape.high, by);
  shape.offset = wrapping_add(shape.offset, by);
  return shape;
}

namespace {

/// Grows the bounds of `shape` to those of `count` copies, and checks its sizes.
void multiply_extent(Shape& shape, std::int64_t count, std::int64_t stride) {
  const std::int64_t far = multiply(count - 1, stride);
  shape.low = std::min(shape.low, add(shape.low, far));
  shape.high = std::max(shape.high, add(shape.high, far));
  static_cast<void>(subtract(shape.high, shape.low));
  shape.bytes = multiply(shape.bytes, count);
  shape.nruns = multiply(shape.nruns, count);
}

Shape expanded(const Shape& shape, std::int64_t count, std::int64_t stride) {
  RunSink sink(multiply(shape.nruns, count));
  for (std::int64_t i = 0; i < count; ++i) sink.append(shape, i * stride);
  Shape list = sink.take();
  sink.finish();
  return list;
}

bool same_strided(const Shape& a, const Shape& b) {
  return a.form == Form::strided && b.form == Form::strided && a.run == b.run && a.offset == b.offset &&
         std::equal(a.dims.begin(), a.dims.end(), b.dims.begin(), b.dims.end(),
                    [](const Dim& x, const Dim& y) { return x.count == y.count && x.stride == y.stride; });
}

}  // namespace

Shape repeated(const Shape& shape, std::int64_t count, std::int64_t stride) {
  if (shape.empty() || count == 0) return {};
  if (count == 1) return shape;
  Shape grown = shape;
  multiply_extent(grown, count, stride);
  if (shape.form != Form::strided) return expanded(shape, count, stride);
  if (shape.dims.empty() && stride == shape.run) {
    grown.run = grown.bytes;
    grown.nruns = 1;
    return grown;
  }
  std::int64_t span = 0;
  if (!shape.dims.empty() && !__builtin_mul_overflow(shape.dims[0].count, shape.dims[0].stride, &span) &&
      span == stride) {
    grown.dims[0].count *= count;
    return grown;
  }
  if (shape.dims.size() == static_cast<std::size_t>(kernels::kMaxDims)) return expanded(shape, count, stride);
  grown.dims.insert(grown.dims.begin(), Dim{count, stride});
  return grown;
}

Shape placed(const Shape& shape, std::span<const std::int64_t> places) {
  if (shape.empty() || places.empty()) return {};
  if (places.size() == 1) return shifted(shape, places[0]);
  std::int64_t step = 0;
  bool regular = !__builtin_sub_overflow(places[1], places[0], &step);
  for (std::size_t i = 2; regular && i < places.size(); ++i)
    regular = places[i] == wrapping_add(places[i - 1], step);
  const auto count = static_cast<std::int64_t>(places.size());
  if (regular) return repeated(shifted(shape, places[0]), count, step);
  RunSink sink(multiply(shape.nruns, count));
  if (shape.is_run()) {
    sink.assign(places, 1, shape.offset, shape.run);
  } else {
    for (const std::int64_t place : places) sink.append(shape, place);
  }
  Shape list = sink.take();
  sink.finish();
  return list;
}

Shape concatenated(const std::vector<Piece>& pieces) {
  std::vector<const Piece*> full;
  std::int64_t runs = 0;
  bool same = true;
  for (const Piece& piece : pieces) {
    if (piece.first.empty()) continue;
    full.push_back(&piece);
    runs = add(runs, piece.first.nruns);
    same = same && same_strided(full[0]->first, piece.first);
  }
  if (full.empty()) return {};
  if (same) {
    std::vector<std::int64_t> places;
    places.reserve(full.size());
    for (const Piece* piece : full) places.push_back(piece->second);
    return placed(full[0]->first, places);
  }
  RunSink sink(runs);
  for (const Piece* piece : full) sink.append(piece->first, piece->second);
  Shape list = sink.take();
  sink.finish();
  return list;
}

}  // namespace mpix::layout
