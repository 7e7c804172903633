// SPDX-License-Identifier: BSD-3-Clause
#include "base/status.hpp"

#include <system_error>

namespace mpix {

const std::string& Status::message() const noexcept {
  static const std::string success = "success";
  return detail_ ? detail_->message : success;
}

std::string errno_text(int error) {
  return std::generic_category().message(error);
}

}  // namespace mpix
