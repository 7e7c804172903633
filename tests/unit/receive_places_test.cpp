// SPDX-License-Identifier: BSD-3-Clause
/// Pieces of a message that come in any order, against a byte-by-byte oracle.
#include "engine/receive_places.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/kernels_support.hpp"

namespace mpix::kernels::testing {
namespace {

constexpr int kRounds = 300;

struct Piece {
  std::int64_t offset, bytes;  ///< in the message
  std::int64_t from;           ///< in what has come
};

/// The message cut into pieces, many of one length, some left out, in random order; what has come holds each
/// at a random place.
std::vector<Piece> random_pieces(Random& random, std::int64_t bytes) {
  std::vector<Piece> pieces;
  const std::int64_t usual = pick(random, 1, std::max<std::int64_t>(1, bytes / pick(random, 1, 1000)));
  for (std::int64_t offset = 0; offset < bytes;) {
    const std::int64_t length = pick(random, 0, 5) == 0 ? pick(random, 1, 2 * usual) : usual;
    const std::int64_t n = std::min(length, bytes - offset);
    if (pick(random, 0, 9) != 0) pieces.push_back({offset, n, 0});
    offset += n;
  }
  std::int64_t come = 0;
  shuffle(pieces, random);
  for (Piece& piece : pieces) {
    piece.from = come;
    come += piece.bytes + pick(random, 0, 3);
  }
  if (pick(random, 0, 1) == 0) shuffle(pieces, random);
  return pieces;
}

TEST(ReceivePlaces, PiecesGoWhereTheOracleSays) {
  Random random(seed());
  const HostKernels& kernels = *host_kernels("auto");
  for (int round = 0; round < kRounds; ++round) {
    const Shape shape = pick(random, 0, 5) == 0 ? random_long_runs(random) : random_shape(random);
    const Blocks blocks = shape.view();
    const Expanded expanded(shape);
    const std::vector<Piece> pieces = random_pieces(random, blocks.bytes);
    std::int64_t come = 0;
    for (const Piece& piece : pieces) come = std::max(come, piece.from + piece.bytes);
    const Guarded source(static_cast<std::size_t>(come), either(random));
    const Guarded target(static_cast<std::size_t>(expanded.high - expanded.low), either(random));
    fill(source.bytes(), random);
    fill(target.bytes(), random);
    std::vector<std::byte> want(target.bytes().begin(), target.bytes().end());
    for (const Piece& piece : pieces)
      for (std::int64_t k = 0; k < piece.bytes; ++k)
        want[static_cast<std::size_t>(expanded.places[static_cast<std::size_t>(piece.offset + k)] -
                                      expanded.low)] =
            source.bytes()[static_cast<std::size_t>(piece.from + k)];
    {
      engine::ReceivePlaces places;
      engine::PieceScatter scatter(kernels, target.data() - expanded.low, blocks, source.data(),
                                   pick(random, 0, 1) == 0 ? Stores::cached : Stores::streaming);
      for (const Piece& piece : pieces)
        scatter.add(places.cursor(blocks, piece.offset), piece.from, piece.bytes);
    }
    const auto at = std::mismatch(want.begin(), want.end(), target.bytes().begin());
    ASSERT_TRUE(at.first == want.end())
        << "round " << round << ", form " << static_cast<int>(blocks.form) << ": first difference at byte "
        << at.first - want.begin() << ", seed " << seed();
  }
}

}  // namespace
}  // namespace mpix::kernels::testing
