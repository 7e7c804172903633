// SPDX-License-Identifier: BSD-3-Clause
#include "benchmarks/common/parse.hpp"

#include <charconv>
#include <cstdio>

#include "benchmarks/common/check.hpp"

namespace mpix::bench {

void bad_value(std::string_view option, std::string_view text, std::string_view expected) {
  throw Error(std::string(option) + ": '" + std::string(text) + "' given, " + std::string(expected) +
              " expected");
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::int64_t parse_number(std::string_view option, std::string_view text, std::int64_t lowest,
                          std::int64_t highest) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < lowest || value > highest) {
    bad_value(option, text, "a number of at least " + std::to_string(lowest));
  }
  return value;
}

double parse_real(std::string_view option, std::string_view text, double lowest, double highest) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !(value >= lowest) || value > highest) {
    char expected[64];
    std::snprintf(expected, sizeof expected, "a number from %g to %g", lowest, highest);
    bad_value(option, text, expected);
  }
  return value;
}

std::int64_t parse_bytes(std::string_view option, std::string_view text) {
  constexpr std::string_view units = "KMG";
  int shift = 0;
  std::string_view digits = text;
  if (!text.empty() && units.find(text.back()) != std::string_view::npos) {
    shift = 10 * (static_cast<int>(units.find(text.back())) + 1);
    digits.remove_suffix(1);
  }
  return parse_number(option, digits, 1, INT64_MAX >> shift) << shift;
}

std::vector<std::int64_t> parse_bytes_list(std::string_view option, std::string_view text) {
  std::vector<std::int64_t> values;
  for (const auto part : split(text, ',')) values.push_back(parse_bytes(option, part));
  return values;
}

}  // namespace mpix::bench
