// SPDX-License-Identifier: BSD-3-Clause
#include "engine/kept_places.hpp"

#include <algorithm>
#include <numeric>

namespace mpix::engine {

RowsExtent fit_rows(const plan::NodeSend& send, std::int64_t range, std::int64_t within,
                    std::int64_t room) noexcept {
  RowsExtent extent;
  if (send.run > 0 && within == 0 && room >= send.run) {
    const auto first = static_cast<std::size_t>(range);
    const std::size_t rows = std::min(static_cast<std::size_t>(room / send.run), send.lengths.size() - first);
    extent.bytes = static_cast<std::int64_t>(rows) * send.run;
    extent.delivered = (send.first[first + rows] - send.first[first]) * send.run;
    return extent;
  }
  for (auto i = static_cast<std::size_t>(range); i < send.lengths.size(); ++i, within = 0) {
    std::int64_t bytes = send.lengths[i] - within;
    if (extent.bytes + bytes > room) {
      if (extent.bytes > 0) break;
      bytes = room;
    }
    extent.bytes += bytes;
    extent.delivered += bytes * (send.first[i + 1] - send.first[i]);
    if (extent.bytes == room) break;
  }
  return extent;
}

void KeptPlaces::add(std::int64_t from, std::int64_t to, std::int64_t bytes) {
  if (spans_.empty() || spans_.back().length != bytes) spans_.push_back({from_.size(), bytes});
  sorted_ = sorted_ && (from_.empty() || from >= from_.back());
  from_.push_back(from);
  to_.push_back(to);
  delivered_ += bytes;
}

void KeptPlaces::finish() {
  if (!sorted_) sort();
  from_.shrink_to_fit();
  to_.shrink_to_fit();
  spans_.shrink_to_fit();
}

/// A row that is received in several runs comes out of order, if it has several places.
void KeptPlaces::sort() {
  std::vector<std::size_t> order(from_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::vector<std::int64_t> lengths(from_.size());
  for (std::size_t span = 0; span < spans_.size(); ++span)
    std::fill(lengths.begin() + static_cast<std::ptrdiff_t>(spans_[span].first),
              lengths.begin() + static_cast<std::ptrdiff_t>(end_of(span)), spans_[span].length);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return from_[a] < from_[b]; });
  KeptPlaces ordered(number_);
  for (const std::size_t i : order) ordered.add(from_[i], to_[i], lengths[i]);
  *this = std::move(ordered);
}

std::int64_t KeptPlaces::memory() const noexcept {
  return static_cast<std::int64_t>(sizeof(KeptPlaces) +
                                   (from_.capacity() + to_.capacity()) * sizeof(std::int64_t) +
                                   spans_.capacity() * sizeof(Span));
}

/// What `rows` have of the pieces from number `piece` of `span` on: of as many whole ones as follow each
/// other, or of one.
KeptPlaces::Part KeptPlaces::part_of(const Rows& rows, std::size_t piece, std::size_t span) const noexcept {
  const std::int64_t length = spans_[span].length, from = from_[piece];
  const auto first = from_.begin() + static_cast<std::ptrdiff_t>(piece);
  const auto last = from_.begin() + static_cast<std::ptrdiff_t>(end_of(span));
  if (from + length <= rows.position) {  // what went before a piece that was cut
    const auto end = std::upper_bound(first, last, rows.position - length);
    return {piece, static_cast<std::size_t>(end - from_.begin()), 0, 0};
  }
  if (from < rows.position || from + length > rows.end())
    return {piece, piece + 1, std::max(rows.position - from, std::int64_t{0}),
            std::min(rows.end() - from, length)};
  const auto end = std::upper_bound(first, last, rows.end() - length);
  return {piece, static_cast<std::size_t>(end - from_.begin()), 0, length};
}

std::int64_t KeptPlaces::copy(const Target& target, const Rows& rows, const Part& part) const noexcept {
  if (part.begin >= part.end) return 0;
  kernels::Blocks to;
  to.form = kernels::Form::indexed;
  to.offset = part.begin;
  to.run = part.end - part.begin;
  to.nruns = static_cast<std::int64_t>(part.last - part.first);
  to.bytes = to.run * to.nruns;
  kernels::Blocks from = to;
  to.offsets = &to_[part.first];
  from.offset -= rows.position;
  from.offsets = &from_[part.first];
  kernels::Cursor to_begin, from_begin;
  target.kernels.copy(target.base, to, to_begin, rows.data, from, from_begin,
                      static_cast<std::size_t>(to.bytes), target.stores);
  return to.bytes;
}

std::int64_t KeptPlaces::scatter(const Target& target, const Rows& rows, Cursor& cursor) const noexcept {
  std::int64_t written = 0;
  Cursor at = cursor;
  bool cut = false;  // `cursor` is at the first piece that goes on after the rows
  while (at.piece < from_.size() && from_[at.piece] < rows.end()) {
    const Part part = part_of(rows, at.piece, at.span);
    written += copy(target, rows, part);
    if (part.end > 0 && part.end < spans_[at.span].length && !cut) {
      cut = true;
      cursor = at;
    }
    at.piece = part.last;
    if (at.piece == end_of(at.span)) ++at.span;
  }
  if (!cut) cursor = at;
  return written;
}

}  // namespace mpix::engine
