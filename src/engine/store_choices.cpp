// SPDX-License-Identifier: BSD-3-Clause
#include "engine/store_choices.hpp"

#include <unistd.h>
#include <bit>
#include <cstdio>

namespace mpix::engine {
namespace {

using kernels::Stores;
using memory::Way;

/// In exchanges. The first two are stored as guessed, of which the second counts.
constexpr memory::TrialSchedule kTrials{
    .period = 64, .longest = 1024, .trial = 2, .verdict = 2, .every = 1, .first = 62, .warm = 1};
/// Bytes from which the guess is that the receive buffer is not in the caches.
constexpr std::int64_t kGuessedPast = 4 << 20;

constexpr std::size_t width(std::int64_t bytes) noexcept {
  return static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(bytes)));
}

}  // namespace

StoreChoices::Magnitude::Magnitude(Way guess) noexcept : chooser(kTrials, guess), meter(kTrials) {}

Storing StoreChoices::next(const plan::Plan& plan) {
  Storing storing;
  if (plan.stores == plan::StoreRule::streaming) storing.stores = Stores::streaming;
  if (plan.stores != plan::StoreRule::measured) return storing;
  const std::size_t magnitude = width(plan.recv_bytes) - width(plan::kMeasuredStores);
  while (magnitudes_.size() <= magnitude) {
    const std::int64_t least = plan::kMeasuredStores << magnitudes_.size();
    magnitudes_.emplace_back(least < kGuessedPast ? Way::cached : Way::streaming);
  }
  Magnitude& here = magnitudes_[magnitude];
  if (here.chooser.next(here.meter.costs()) == Way::streaming) storing.stores = Stores::streaming;
  storing.magnitude = magnitude;
  return storing;
}

void StoreChoices::note(const Storing& storing) noexcept {
  if (!storing.magnitude) return;
  if (getenv("TRD"))
    fprintf(stderr, "TR %d mag %zu %s ns %lu bytes %ld\n", getpid(), *storing.magnitude,
            storing.stores == Stores::streaming ? "S" : "c", storing.nanoseconds, storing.bytes);
  magnitudes_[*storing.magnitude].meter.note(
      storing.stores == Stores::streaming ? Way::streaming : Way::cached, storing.nanoseconds,
      static_cast<std::size_t>(storing.bytes));
}

}  // namespace mpix::engine
