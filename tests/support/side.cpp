// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/side.hpp"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "base/text.hpp"
#include "tests/support/mapped_type.hpp"

namespace mpix::test {
namespace {

using Totals = std::vector<std::int64_t>;

void must(int code, const char* what) {
  if (code == MPI_SUCCESS) return;
  char buffer[MPI_MAX_ERROR_STRING + 1] = {};
  int length = 0;
  if (MPI_Error_string(code, buffer, &length) != MPI_SUCCESS) length = 0;
  throw std::runtime_error(text(what, " failed: ", buffer));
}

/// A divisor of `bytes` that is a fit size for a datatype.
std::int64_t random_divisor(Rng& rng, std::int64_t bytes) {
  std::vector<std::int64_t> candidates;
  for (std::int64_t d = 1; d <= 2048 && d <= bytes; ++d)
    if (bytes % d == 0) candidates.push_back(d);
  if (bytes <= 1 << 20) candidates.push_back(bytes);
  // Tiny types for many bytes would only make the oracle slow.
  std::erase_if(candidates, [&](std::int64_t d) { return bytes / d > 100000 && d != candidates.back(); });
  return candidates.empty() ? 1 : rng.pick(candidates);
}

std::int64_t common_divisor(const Totals& totals) {
  std::int64_t divisor = 0;
  for (const std::int64_t bytes : totals) divisor = std::gcd(divisor, bytes);
  return divisor == 0 ? 24 : divisor;
}

std::vector<int> random_order(Rng& rng, std::size_t count) {
  std::vector<int> order(count);
  std::iota(order.begin(), order.end(), 0);
  if (rng.chance(70)) rng.shuffle(order);
  return order;
}

MappedType type_for(Rng& rng, std::int64_t size, const SideOptions& options) {
  return random_mapped_type(rng, size,
                            {.overlap = !options.receive && rng.chance(20), .nested = options.nested});
}

Side make_v(Rng& rng, const Totals& totals, const SideOptions& options) {
  const MappedType type = type_for(rng, random_divisor(rng, common_divisor(totals)), options);
  const std::int64_t size = total(type.map);
  const bool overlapping = !options.receive && rng.chance(30);
  std::vector<MPI_Count> counts(totals.size()), displs(totals.size());
  std::vector<ByteMap> maps(totals.size());
  MPI_Count next = rng.between(-4, 4);
  for (const int peer : random_order(rng, totals.size())) {
    const auto p = static_cast<std::size_t>(peer);
    counts[p] = totals[p] / size;
    displs[p] = overlapping ? rng.between(-3, 3) : next;
    next += counts[p] + rng.between(0, 2);
    append_repeated(maps[p], type.map, counts[p], type.extent, displs[p] * type.extent);
  }
  MPIX_Layout layout = MPIX_LAYOUT_NULL;
  must(MPIX_Layout_create_v(static_cast<int>(totals.size()), counts.data(), displs.data(), type.type.get(),
                            &layout),
       "MPIX_Layout_create_v");
  return {layout, std::move(maps), text("v(", type.description, ")")};
}

Side make_w(Rng& rng, const Totals& totals, const SideOptions& options) {
  const bool overlapping = !options.receive && rng.chance(30);
  const std::size_t n = totals.size();
  std::vector<MPI_Count> counts(n);
  std::vector<MPI_Aint> displs(n, -12345);
  std::vector<MPI_Datatype> types(n, rng.chance(50) ? MPI_DATATYPE_NULL : MPI_INT);
  std::vector<MappedType> owned(n);
  std::vector<ByteMap> maps(n);
  std::string description;
  std::int64_t next = rng.between(-1000, 1000);
  for (const int peer : random_order(rng, n)) {
    const auto p = static_cast<std::size_t>(peer);
    if (totals[p] == 0) continue;
    owned[p] = type_for(rng, random_divisor(rng, totals[p]), options);
    types[p] = owned[p].type.get();
    counts[p] = totals[p] / total(owned[p].map);
    displs[p] = overlapping ? rng.between(-100, 100) : next - owned[p].range.low;
    append_repeated(maps[p], owned[p].map, counts[p], owned[p].extent, displs[p]);
    next = std::max(next, range_of({maps[p]}).high + rng.between(0, 100));
    description += text(" ", peer, ": ", owned[p].description);
  }
  MPIX_Layout layout = MPIX_LAYOUT_NULL;
  must(MPIX_Layout_create_w(static_cast<int>(n), counts.data(), displs.data(), types.data(), &layout),
       "MPIX_Layout_create_w");
  return {layout, std::move(maps), text("w(", description, ")")};
}

/// `count` places out of a range of them: in order, shuffled, or backwards; any of them twice if `repeated`.
std::vector<MPI_Count> random_places(Rng& rng, std::int64_t count, bool repeated) {
  const std::int64_t low = rng.between(-10, 10);
  std::vector<MPI_Count> places(static_cast<std::size_t>(count + rng.between(0, count / 4 + 3)));
  std::iota(places.begin(), places.end(), low);
  if (rng.chance(60)) rng.shuffle(places);
  if (rng.chance(20)) std::reverse(places.begin(), places.end());
  places.resize(static_cast<std::size_t>(count));
  for (std::size_t i = 0; repeated && i < places.size(); ++i) places[i] = rng.pick(places);
  return places;
}

Side make_indexed_block(Rng& rng, const Totals& totals, const SideOptions& options) {
  const MappedType type = type_for(rng, random_divisor(rng, common_divisor(totals)), options);
  const std::int64_t size = total(type.map);
  std::vector<MPI_Count> counts;
  for (const std::int64_t bytes : totals) counts.push_back(bytes / size);
  const std::int64_t all = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  const std::vector<MPI_Count> indices = random_places(rng, all, !options.receive && rng.chance(40));
  std::vector<ByteMap> maps(totals.size());
  std::size_t k = 0;
  for (std::size_t p = 0; p < totals.size(); ++p)
    for (MPI_Count i = 0; i < counts[p]; ++i)
      append_repeated(maps[p], type.map, 1, 0, indices[k++] * type.extent);
  MPIX_Layout layout = MPIX_LAYOUT_NULL;
  must(MPIX_Layout_create_indexed_block(static_cast<int>(totals.size()), counts.data(), indices.data(),
                                        type.type.get(), &layout),
       "MPIX_Layout_create_indexed_block");
  return {layout, std::move(maps), text("indexed_block(", type.description, ")")};
}

struct Piece {
  std::size_t peer;
  std::size_t place;  ///< among the peer's pieces
  std::int64_t length;
};

std::vector<Piece> cut(Rng& rng, const Totals& totals, std::int64_t most) {
  std::vector<Piece> pieces;
  const bool equal = rng.chance(30);
  for (std::size_t p = 0; p < totals.size(); ++p) {
    const std::int64_t mean =
        std::max<std::int64_t>(1, std::max(totals[p] / most, rng.magnitude(totals[p] / 2 + 1)));
    std::size_t place = 0;
    for (std::int64_t left = totals[p]; left > 0;) {
      const std::int64_t length = std::min(left, equal ? mean : rng.between(rng.chance(5) ? 0 : 1, 2 * mean));
      pieces.push_back({p, place++, length});
      left -= length;
    }
  }
  return pieces;
}

Side make_hindexed(Rng& rng, const Totals& totals, const SideOptions& options) {
  std::vector<Piece> pieces = cut(rng, totals, options.pieces);
  if (rng.chance(60)) rng.shuffle(pieces);
  const bool overlapping = !options.receive && rng.chance(30);
  const int gaps = static_cast<int>(rng.between(0, 100));
  std::vector<ByteMap> maps(totals.size());
  for (const Piece& piece : pieces) {
    ByteMap& map = maps[piece.peer];
    if (map.size() <= piece.place) map.resize(piece.place + 1);
  }
  std::int64_t next = rng.between(-5000, 5000);
  for (const Piece& piece : pieces) {
    const std::int64_t at = overlapping ? rng.between(-300, 300) : next;
    maps[piece.peer][piece.place] = {at, piece.length};
    next = at + piece.length + (rng.chance(gaps) ? rng.between(1, 70) : 0);
  }
  return side_of_maps(std::move(maps), text("hindexed(", pieces.size(), " segments)"));
}

}  // namespace

Side::Side(MPIX_Layout layout, std::vector<ByteMap> maps, std::string description)
    : layout_(layout), maps_(std::move(maps)), description_(std::move(description)) {}

Side::Side(Side&& other) noexcept
    : layout_(std::exchange(other.layout_, MPIX_LAYOUT_NULL)),
      maps_(std::move(other.maps_)),
      description_(std::move(other.description_)) {}

Side& Side::operator=(Side&& other) noexcept {
  std::swap(layout_, other.layout_);
  std::swap(maps_, other.maps_);
  std::swap(description_, other.description_);
  return *this;
}

Side::~Side() {
  if (layout_ != MPIX_LAYOUT_NULL && free_layout() != MPI_SUCCESS)
    std::fputs("FAILURE: MPIX_Layout_free\n", stderr);
}

int Side::free_layout() {
  return MPIX_Layout_free(&layout_);
}

Side random_side(Rng& rng, const Totals& totals, const SideOptions& options) {
  static const std::vector<Constructor> all = {Constructor::v, Constructor::w, Constructor::indexed_block,
                                               Constructor::hindexed};
  switch (options.constructor ? *options.constructor : rng.pick(all)) {
    case Constructor::v:
      return make_v(rng, totals, options);
    case Constructor::w:
      return make_w(rng, totals, options);
    case Constructor::indexed_block:
      return make_indexed_block(rng, totals, options);
    case Constructor::hindexed:
      break;
  }
  return make_hindexed(rng, totals, options);
}

Side side_of_maps(std::vector<ByteMap> maps, std::string description) {
  std::vector<MPI_Count> counts, lengths;
  std::vector<MPI_Aint> displs;
  for (const ByteMap& map : maps) {
    counts.push_back(static_cast<MPI_Count>(map.size()));
    for (const Segment& s : map) {
      lengths.push_back(s.length);
      displs.push_back(s.offset);
    }
  }
  MPIX_Layout layout = MPIX_LAYOUT_NULL;
  must(MPIX_Layout_create_hindexed(static_cast<int>(maps.size()), counts.data(), lengths.data(),
                                   displs.data(), &layout),
       "MPIX_Layout_create_hindexed");
  return {layout, std::move(maps), std::move(description)};
}

}  // namespace mpix::test
