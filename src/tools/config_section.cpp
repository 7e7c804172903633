// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cctype>
#include <map>

#include "base/text.hpp"
#include "tools/sections.hpp"

namespace mpix::tools {
namespace {

constexpr std::string_view kPrefix = "MPIX_LAYOUT_";

std::string variable(const ConfigRow& row) {
  std::string name(row.name);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text(kPrefix, name);
}

/// Our variables of `environment`, by name.
std::map<std::string, std::string> own_variables(char* const* environment) {
  std::map<std::string, std::string> result;
  for (char* const* entry = environment; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view whole(*entry);
    const std::size_t equals = whole.find('=');
    if (whole.starts_with(kPrefix) && equals != std::string_view::npos)
      result.emplace(whole.substr(0, equals), whole.substr(equals + 1));
  }
  return result;
}

std::string shown(std::string_view value) {
  return value.empty() ? "(empty)" : std::string(value);
}

std::string row_lines(const ConfigRow& row, const std::map<std::string, std::string>& set) {
  const std::string name = variable(row);
  Config config;
  const auto found = set.find(name);
  std::string origin = "default";
  if (found != set.end())
    origin = row.set(config, found->second) ? "environment"
                                            : text("BAD VALUE ", found->second, " in the environment");
  return text("  ", name, " = ", shown(row.get(config)), "  [", origin, "]\n      ", row.help, "\n      ",
              row.type, "; default ", shown(row.default_value),
              row.per_plan ? text("; info key mpix_layout_", row.name) : std::string(), "\n");
}

/// `value` as roff text: a leading dot or quote and backslashes must not be taken for requests.
std::string roff(std::string_view value) {
  std::string result;
  for (const char c : value) {
    if (c == '\\')
      result += "\\e";
    else if (c == '-')
      result += "\\-";
    else
      result += c;
  }
  if (!result.empty() && (result[0] == '.' || result[0] == '\'')) result = "\\&" + result;
  return result;
}

}  // namespace

Config config_in_force(char* const* environment, std::string& faults) {
  const std::map<std::string, std::string> set = own_variables(environment);
  Config config;
  for (const ConfigRow& row : config_table()) {
    const auto found = set.find(variable(row));
    if (found != set.end() && !row.set(config, found->second))
      faults += text(found->first, "=", found->second, ": expected ", row.type, "\n");
  }
  return config;
}

std::string config_section(char* const* environment) {
  std::map<std::string, std::string> set = own_variables(environment);
  std::string result = "Configuration\n";
  for (const ConfigRow& row : config_table()) {
    result += row_lines(row, set);
    set.erase(variable(row));
  }
  for (const auto& [name, value] : set)
    result += text("  ", name, " = ", value, "  [UNKNOWN: not a variable of this library]\n");
  return result + "\n";
}

std::string config_manual() {
  std::string result;
  for (const ConfigRow& row : config_table()) {
    result += text(".TP\n.B ", variable(row), "\n", roff(row.help), ".\n.br\nValues: ", roff(row.type),
                   ". Default: ", row.default_value.empty() ? "empty" : roff(row.default_value), ".");
    if (row.per_plan) result += text("\n.br\nInfo key: \\fBmpix_layout_", row.name, "\\fR.");
    result += "\n";
  }
  return result;
}

}  // namespace mpix::tools
