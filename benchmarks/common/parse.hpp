// SPDX-License-Identifier: BSD-3-Clause
/// Values of command line options. Everything throws an Error that names the option and what is wrong with
/// it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mpix::bench {

[[noreturn]] void bad_value(std::string_view option, std::string_view text, std::string_view expected);

std::vector<std::string_view> split(std::string_view text, char separator);

std::int64_t parse_number(std::string_view option, std::string_view text, std::int64_t lowest,
                          std::int64_t highest = INT64_MAX);

/// A finite number in [lowest, highest].
double parse_real(std::string_view option, std::string_view text, double lowest, double highest);

/// Bytes, with K, M or G for powers of 1024.
std::int64_t parse_bytes(std::string_view option, std::string_view text);
std::vector<std::int64_t> parse_bytes_list(std::string_view option, std::string_view text);

/// The enumerator whose place in `names` the text has.
template <class Enum, std::size_t N>
Enum parse_name(std::string_view option, std::string_view text, const std::array<const char*, N>& names) {
  std::string known;
  for (std::size_t i = 0; i < N; ++i) {
    if (text == names[i]) return static_cast<Enum>(i);
    known += (i == 0 ? "one of " : ", ") + std::string(names[i]);
  }
  bad_value(option, text, known);
}

}  // namespace mpix::bench
