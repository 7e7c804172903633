// SPDX-License-Identifier: BSD-3-Clause
#include "engine/store_choices.hpp"

#include <bit>

namespace mpix::engine {
namespace {

using kernels::Stores;
using memory::Way;

/// In exchanges, of which one may be interrupted.
constexpr memory::TrialSchedule kTrials{.before = 2,
                                        .trial = 2,
                                        .verdict = 2,
                                        .every = 1,
                                        .period = 64,
                                        .longest = 1024,
                                        .warm = 1,
                                        .least_of = 3};
/// Bytes from which the guess is that the receive buffer is not in the caches.
constexpr std::int64_t kGuessedPast = 4 << 20;

constexpr std::size_t width(std::int64_t bytes) noexcept {
  return static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(bytes)));
}

}  // namespace

StoreTrials::StoreTrials(Way guess) noexcept : chooser_(kTrials, guess), meter_(kTrials) {}

Stores StoreTrials::next() noexcept {
  return chooser_.next(meter_.costs()) == Way::streaming ? Stores::streaming : Stores::cached;
}

void StoreTrials::note(Stores stores, std::uint64_t nanoseconds, std::int64_t bytes) noexcept {
  meter_.note(stores == Stores::streaming ? Way::streaming : Way::cached, nanoseconds,
              static_cast<std::size_t>(bytes));
}

Storing StoreChoices::next(const plan::Plan& plan, std::optional<StoreTrials>* own) {
  Storing storing;
  if (plan.stores == plan::StoreRule::streaming) storing.stores = Stores::streaming;
  if (plan.stores != plan::StoreRule::measured) return storing;
  StoreTrials& alike = of_magnitude(plan.recv_bytes);
  if (own != nullptr && !own->has_value()) own->emplace(alike.favourite());
  storing.trials = own != nullptr ? &**own : &alike;
  storing.stores = storing.trials->next();
  return storing;
}

StoreTrials& StoreChoices::of_magnitude(std::int64_t bytes) {
  const std::size_t magnitude = width(bytes) - width(plan::kMeasuredStores);
  while (magnitudes_.size() <= magnitude) {
    const std::int64_t least = plan::kMeasuredStores << magnitudes_.size();
    magnitudes_.emplace_back(least < kGuessedPast ? Way::cached : Way::streaming);
  }
  return magnitudes_[magnitude];
}

}  // namespace mpix::engine
