// SPDX-License-Identifier: BSD-3-Clause
/// The shortest way through an exchange in which every message inside the node fits into its announcement.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/context.hpp"

namespace mpix::engine {

struct BoundPlan;

/// What was done of an exchange before it became an Exchange.
struct Begun {
  std::size_t announced = 0;               ///< the first so many of the plan's pairs
  std::span<const std::uint32_t> pending;  ///< of these, those that have not met, ascending
  bool self = false;                       ///< what the rank has for itself has been copied
};

/// Announces everything and takes what comes, for as long as all is as expected and the peers are not late.
/// What is left then is for an Exchange, which goes on from there.
class ShortExchange {
 public:
  /// Whether exchanges of the plan may go this way; of its links and layouts alone.
  static bool suits(const BoundPlan& bound) noexcept;

  /// Exchange number `number`, while no other is under way; looks at most `looks` times for what comes.
  /// Returns whether it is over. Throws std::bad_alloc, before it has done anything.
  bool run(const Context& context, const BoundPlan& bound, std::uint64_t number, const std::byte* send,
           std::byte* recv, std::int64_t looks);
  /// Of the run that came to no end, until the next.
  Begun begun() const noexcept { return {announced_, pending_, copied_}; }
  /// What the run has moved.
  const Traffic& traffic() const noexcept { return traffic_; }

 private:
  enum class Met { yes, not_yet, otherwise };

  bool announce_all(const Context& context, const BoundPlan& bound, std::uint64_t number,
                    const std::byte* send) noexcept;
  void copy_self(const Context& context, const BoundPlan& bound, const std::byte* send,
                 std::byte* recv) noexcept;
  Met take(const Context& context, const BoundPlan& bound, std::uint64_t number, std::size_t pair,
           std::byte* recv) noexcept;
  bool take_all(const Context& context, const BoundPlan& bound, std::uint64_t number, std::byte* recv,
                bool& happened) noexcept;

  std::size_t announced_ = 0;
  std::vector<std::uint32_t> pending_;
  bool copied_ = false;
  Traffic traffic_;
};

}  // namespace mpix::engine
