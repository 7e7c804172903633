// SPDX-License-Identifier: BSD-3-Clause
#include "benchmarks/common/json.hpp"

#include <cmath>
#include <cstdio>

namespace mpix::bench {
namespace {

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      result += escape;
    } else {
      result += c;
    }
  }
  return result + '"';
}

std::string number(double value) {
  if (!std::isfinite(value)) return "null";
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

}  // namespace

Json& Json::raw(std::string_view key, std::string_view value) {
  if (!body_.empty()) body_ += ", ";
  if (kind_ == Kind::object) body_ += quoted(key) + ": ";
  body_ += value;
  return *this;
}

Json& Json::add(std::string_view key, std::string_view value) {
  return raw(key, quoted(value));
}
Json& Json::add(std::string_view key, double value) {
  return raw(key, number(value));
}
Json& Json::add(std::string_view key, long long value) {
  return raw(key, std::to_string(value));
}
Json& Json::add(std::string_view key, const Json& value) {
  return raw(key, value.text());
}
Json& Json::append(const Json& value) {
  return raw("", value.text());
}
Json& Json::append(std::string_view value) {
  return raw("", quoted(value));
}

std::string Json::text() const {
  return kind_ == Kind::object ? "{" + body_ + "}" : "[" + body_ + "]";
}

}  // namespace mpix::bench
