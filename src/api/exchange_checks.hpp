// SPDX-License-Identifier: BSD-3-Clause
/// Checks of an exchange's arguments. The first two are local, the last ones communicate.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "api/communicator.hpp"
#include "layout/layout.hpp"

namespace mpix::api {

/// Throws Error (layout) unless `layout` was made for as many peers as `communicator` has ranks.
void check_peers(const Communicator& communicator, const Layout& layout, const char* name);
/// Throws Error (buffer) where `buffer` is null and `layout` does not list absolute addresses.
void check_buffer(const void* buffer, const Layout& layout, const char* name);
/// Compares every pair's sizes. Collective; throws Error (mismatch) on all ranks, naming a pair, if any
/// differ: a rank that is concerned hears of itself. `notes`: a number for each rank, or
/// none for zeros, which it gets by the same way; returns those of all ranks for this one.
std::vector<std::int64_t> compare_sizes(const Communicator& communicator, const Layout& send,
                                        const Layout& recv, std::span<const std::int64_t> notes = {});
/// Looks for receive blocks that overlap on any rank. Collective; throws Error (layout) on all ranks.
void check_overlaps(const Communicator& communicator, const Layout& recv);
/// What MPIX_LAYOUT_CHECK=full asks for: sizes and overlaps. Collective.
void check_fully(const Communicator& communicator, const Layout& send, const Layout& recv);

}  // namespace mpix::api
