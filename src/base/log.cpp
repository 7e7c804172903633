// SPDX-License-Identifier: BSD-3-Clause
#include "base/log.hpp"

#include <unistd.h>

#include <atomic>

namespace mpix::log {
namespace {

std::atomic<Level> current_level{Level::warn};
std::atomic<int> current_rank{-1};

const char* name(Level level) noexcept {
  switch (level) {
    case Level::error:
      return "error";
    case Level::warn:
      return "warning";
    case Level::info:
      return "info";
    default:
      return "debug";
  }
}

}  // namespace

void set_level(Level level) noexcept {
  current_level.store(level, std::memory_order_relaxed);
}

bool enabled(Level level) noexcept {
  return level <= current_level.load(std::memory_order_relaxed) && level != Level::none;
}

void set_rank(int rank) noexcept {
  current_rank.store(rank, std::memory_order_relaxed);
}

void write(Level level, const std::string& line) noexcept {
  try {
    const int rank = current_rank.load(std::memory_order_relaxed);
    const std::string who = rank < 0 ? std::string("mpix-layout") : text("mpix-layout[", rank, "]");
    const std::string whole = text(who, ": ", name(level), ": ", line, "\n");
    const auto written = ::write(STDERR_FILENO, whole.data(), whole.size());
    static_cast<void>(written);  // nowhere left to report to
  } catch (...) {                // a lost log line must not become an error
  }
}

}  // namespace mpix::log
