// SPDX-License-Identifier: BSD-3-Clause
/// Message building: text(a, b, ...) streams its arguments into one string.
#pragma once

#include <sstream>
#include <string>

namespace mpix {

template <typename... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return std::move(out).str();
}

}  // namespace mpix
