// SPDX-License-Identifier: BSD-3-Clause
/// Log lines on standard error, prefixed "mpix-layout[rank]: level: ". The level comes from MPIX_LAYOUT_LOG.
#pragma once

#include <string>

#include "base/text.hpp"

namespace mpix::log {

enum class Level { none, error, warn, info, debug };

/// Level at or below which lines are written; warn until configured.
void set_level(Level level) noexcept;
bool enabled(Level level) noexcept;
/// Rank in MPI_COMM_WORLD shown in each line; -1 for none.
void set_rank(int rank) noexcept;
/// Writes one line in one system call; never throws.
void write(Level level, const std::string& line) noexcept;

template <typename... Parts>
void print(Level level, const Parts&... parts) noexcept {
  if (!enabled(level)) return;
  try {
    write(level, text(parts...));
  } catch (...) {  // a lost log line must not become an error
  }
}
template <typename... Parts>
void warn(const Parts&... parts) noexcept {
  print(Level::warn, parts...);
}
template <typename... Parts>
void error(const Parts&... parts) noexcept {
  print(Level::error, parts...);
}
template <typename... Parts>
void info(const Parts&... parts) noexcept {
  print(Level::info, parts...);
}
template <typename... Parts>
void debug(const Parts&... parts) noexcept {
  print(Level::debug, parts...);
}

}  // namespace mpix::log
