// SPDX-License-Identifier: BSD-3-Clause
/// Just enough JSON to write results down.
#pragma once

#include <string>
#include <string_view>

namespace mpix::bench {

/// A JSON object or array under construction; text() closes it.
class Json {
 public:
  enum class Kind { object, array };
  explicit Json(Kind kind = Kind::object) : kind_(kind) {}

  Json& add(std::string_view key, std::string_view value);
  Json& add(std::string_view key, const char* value) { return add(key, std::string_view(value)); }
  Json& add(std::string_view key, double value);
  Json& add(std::string_view key, long long value);
  Json& add(std::string_view key, const Json& value);
  /// Arrays only.
  Json& append(const Json& value);
  Json& append(std::string_view value);

  std::string text() const;

 private:
  Json& raw(std::string_view key, std::string_view value);

  Kind kind_;
  std::string body_;
};

}  // namespace mpix::bench
