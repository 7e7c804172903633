// SPDX-License-Identifier: BSD-3-Clause
/// Results of operations: a Status value on paths that must not throw, an Error exception in set-up.
#pragma once

#include <exception>
#include <memory>
#include <string>
#include <utility>

namespace mpix {

/// What went wrong; api/ maps each to an MPI error class.
enum class Code {
  ok,
  argument,   ///< MPI_ERR_ARG
  buffer,     ///< MPI_ERR_BUFFER
  comm,       ///< MPI_ERR_COMM
  count,      ///< MPI_ERR_COUNT
  type,       ///< MPI_ERR_TYPE
  info,       ///< MPI_ERR_INFO_VALUE
  no_memory,  ///< MPI_ERR_NO_MEM
  layout,     ///< MPIX_ERR_LAYOUT
  mismatch,   ///< MPIX_ERR_MISMATCH
  peer,       ///< MPIX_ERR_PEER
  timeout,    ///< MPIX_ERR_TIMEOUT
  mpi,        ///< an MPI call that the library made failed: MPI_ERR_OTHER
  internal,   ///< broken invariant: MPI_ERR_INTERN
};

/// Success, or a code with a message for the user. Success costs no allocation.
class [[nodiscard]] Status {
 public:
  Status() noexcept = default;
  Status(Code code, std::string message)
      : detail_(std::make_shared<const Detail>(Detail{code, std::move(message)})) {}

  bool ok() const noexcept { return detail_ == nullptr; }
  Code code() const noexcept { return detail_ ? detail_->code : Code::ok; }
  const std::string& message() const noexcept;

 private:
  struct Detail {
    Code code;
    std::string message;
  };
  std::shared_ptr<const Detail> detail_;
};

/// Thrown by set-up code; carries a Status that is not ok.
class Error : public std::exception {
 public:
  explicit Error(Status status) : status_(std::move(status)) {}
  Error(Code code, std::string message) : status_(code, std::move(message)) {}
  const Status& status() const noexcept { return status_; }
  const char* what() const noexcept override { return status_.message().c_str(); }

 private:
  Status status_;
};

/// Text of `errno` value `error`, for messages.
std::string errno_text(int error);

}  // namespace mpix
