// SPDX-License-Identifier: BSD-3-Clause
#include "api/errors.hpp"

#include <mpix_layout.h>

#include <array>
#include <mutex>
#include <string>

#include "base/log.hpp"

int MPIX_ERR_LAYOUT = MPI_ERR_UNKNOWN;
int MPIX_ERR_MISMATCH = MPI_ERR_UNKNOWN;
int MPIX_ERR_PEER = MPI_ERR_UNKNOWN;
int MPIX_ERR_TIMEOUT = MPI_ERR_UNKNOWN;

namespace mpix::api {
namespace {

struct OwnClass {
  int* variable;
  const char* description;
};

const std::array<OwnClass, 4> kOwnClasses = {{
    {&MPIX_ERR_LAYOUT, "MPIX_ERR_LAYOUT: invalid layout or plan"},
    {&MPIX_ERR_MISMATCH, "MPIX_ERR_MISMATCH: two ranks disagree on the bytes between them"},
    {&MPIX_ERR_PEER, "MPIX_ERR_PEER: a peer is gone or cannot be reached"},
    {&MPIX_ERR_TIMEOUT, "MPIX_ERR_TIMEOUT: no progress"},
}};

int error_class(Code code) noexcept {
  switch (code) {
    case Code::ok:
      return MPI_SUCCESS;
    case Code::argument:
      return MPI_ERR_ARG;
    case Code::buffer:
      return MPI_ERR_BUFFER;
    case Code::comm:
      return MPI_ERR_COMM;
    case Code::count:
      return MPI_ERR_COUNT;
    case Code::type:
      return MPI_ERR_TYPE;
    case Code::info:
      return MPI_ERR_INFO_VALUE;
    case Code::no_memory:
      return MPI_ERR_NO_MEM;
    case Code::layout:
      return MPIX_ERR_LAYOUT;
    case Code::mismatch:
      return MPIX_ERR_MISMATCH;
    case Code::peer:
      return MPIX_ERR_PEER;
    case Code::timeout:
      return MPIX_ERR_TIMEOUT;
    case Code::mpi:
      return MPI_ERR_OTHER;
    case Code::internal:
      return MPI_ERR_INTERN;
  }
  return MPI_ERR_INTERN;
}

/// Error codes with texts of their own. MPI has no way to give one back, so that a fixed number of them is
/// used again and again: a text stays right until this many more errors have occurred.
class CodeRing {
 public:
  /// A code of `error_class` with `message`, or the class itself where MPI gives no such code.
  int make(int error_class, const std::string& message) {
    const std::lock_guard guard(mutex_);
    Slot& slot = slots_[next_++ % slots_.size()];
    if (!usable_ || (slot.error_class != error_class && !renew(slot, error_class))) return error_class;
    usable_ = set_text(slot.code, message);
    return usable_ ? slot.code : error_class;
  }

 private:
  struct Slot {
    int error_class = MPI_SUCCESS;
    int code = MPI_SUCCESS;
  };

  /// Finds or makes an error code of `error_class` for `slot`.
  bool renew(Slot& slot, int error_class) {
    int code = 0, check = 0;
    if (MPI_Add_error_code(error_class, &code) != MPI_SUCCESS) return false;
    if (MPI_Error_class(code, &check) != MPI_SUCCESS || check != error_class) return false;
    slot = {error_class, code};
    return true;
  }

  /// False where the MPI does not keep the text: MPICH 4 mixes up codes of predefined classes with its own.
  static bool set_text(int code, const std::string& message) {
    std::string cut = message.substr(0, MPI_MAX_ERROR_STRING - 1);
    if (MPI_Add_error_string(code, cut.data()) != MPI_SUCCESS) return false;
    char kept[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    return MPI_Error_string(code, kept, &length) == MPI_SUCCESS && cut == kept;
  }

  std::mutex mutex_;
  std::size_t next_ = 0;
  bool usable_ = true;  ///< codes of this class carry texts
  std::array<Slot, 32> slots_;
};

/// One ring for each class, so that codes are never wasted. Where the MPI cannot carry the text, it is
/// logged.
int ring_code(Code code, const std::string& message) {
  static std::array<CodeRing, static_cast<std::size_t>(Code::internal) + 1> rings;
  const int plain = error_class(code);
  const int made = rings[static_cast<std::size_t>(code)].make(plain, message);
  if (made == plain) log::warn(message);
  return made;
}

bool mpi_usable() noexcept {
  int initialized = 0, finalized = 0;
  return MPI_Initialized(&initialized) == MPI_SUCCESS && MPI_Finalized(&finalized) == MPI_SUCCESS &&
         initialized != 0 && finalized == 0;
}

}  // namespace

void make_error_classes() {
  static std::once_flag once;
  std::call_once(once, [] {
    for (const OwnClass& own : kOwnClasses) {
      int made = 0;
      if (MPI_Add_error_class(&made) != MPI_SUCCESS) continue;
      std::string description = own.description;
      if (MPI_Add_error_string(made, description.data()) != MPI_SUCCESS)
        log::warn("MPI_Add_error_string failed");
      *own.variable = made;
    }
  });
}

int error_code(const Status& status) noexcept {
  try {
    return ring_code(status.code(), status.message());
  } catch (...) {
    return error_class(status.code());
  }
}

int report(MPI_Comm comm, const Status& status) noexcept {
  if (!mpi_usable()) {
    log::error(status.message());
    return MPI_ERR_OTHER;
  }
  log::info("error: ", status.message());
  const int code = error_code(status);
  const MPI_Comm handler = comm == MPI_COMM_NULL ? MPI_COMM_SELF : comm;
  // A handler that aborts shows the code's string only on some MPIs: make sure that the reason is seen.
  MPI_Errhandler current = MPI_ERRHANDLER_NULL;
  if (MPI_Comm_get_errhandler(handler, &current) == MPI_SUCCESS) {
    if (current == MPI_ERRORS_ARE_FATAL) log::error(status.message());
    if (current != MPI_ERRHANDLER_NULL && MPI_Errhandler_free(&current) != MPI_SUCCESS)
      log::warn("MPI_Errhandler_free failed");
  }
  const int called = MPI_Comm_call_errhandler(handler, code);
  return called == MPI_SUCCESS ? code : called;
}

Status current_exception_status() noexcept {
  try {
    throw;
  } catch (const Error& error) {
    return error.status();
  } catch (const std::bad_alloc&) {
    return {Code::no_memory, "out of memory"};
  } catch (const std::exception& error) {
    return {Code::internal, error.what()};
  } catch (...) {
    return {Code::internal, "unknown exception"};
  }
}

}  // namespace mpix::api
