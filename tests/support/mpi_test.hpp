// SPDX-License-Identifier: BSD-3-Clause
/// Harness for MPI tests: one launch runs many cases, each on communicators of several sizes.
///
/// A program is any number of MPI_TEST bodies linked with mpi_test.cpp, which has main(). The ranks of the
/// case's communicator run the body, the others sleep; then all agree on the result. A case that fails on any
/// rank has failed, and the rank's message is printed with its seed. The last line of the output is
/// "N passed, N failed, N skipped", in runs (one case at one size).
///
/// Options: --filter TEXT (in the case's name), --seed N (also MPIX_TEST_SEED), --size N, --repeat N, --list.
/// MPIX_TEST_THREAD_MULTIPLE=1 asks for MPI_THREAD_MULTIPLE. MPIX_TEST_TIMEOUT replaces every case's limit in
/// seconds. MPIX_TEST_LONG=1 also runs cases that take very long or much memory.
#pragma once

#include <mpi.h>
#include <mpix_layout.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/text.hpp"
#include "tests/support/rng.hpp"
#include "tests/support/watchdog.hpp"

namespace mpix::test {

/// What a body gets; valid on one thread unless a member says otherwise.
class Case {
 public:
  Case(MPI_Comm comm, std::uint64_t seed);

  MPI_Comm comm;  ///< made for this run; errors return
  int rank = 0;   ///< in comm
  int size = 0;
  std::uint64_t seed;  ///< the same on all ranks
  Rng shared;          ///< the same sequence on all ranks, if all draw alike
  Rng own;             ///< a different one on each

  /// Records a failure and goes on, so that ranks stay together. Any thread.
  void fail(const char* file, int line, const std::string& message);
  /// Failures recorded so far.
  int failures() const { return failures_; }

 private:
  int failures_ = 0;
};

/// The case that runs now.
Case& current();

/// Thrown by skip(): all ranks of a case must skip together.
struct Skip : std::runtime_error {
  using std::runtime_error::runtime_error;
};
[[noreturn]] void skip(const std::string& reason);
/// Thrown by REQUIRE.
struct Stop {};

/// Of every rank, the first rank of its node; collective.
std::vector<int> nodes_of(MPI_Comm comm);

struct Options {
  std::vector<int> sizes = {1, 2, 3, 5, 8};
  double timeout = 90;        ///< seconds until a run counts as hanging
  bool long_running = false;  ///< only under MPIX_TEST_LONG=1
};

struct Registration {
  Registration(const char* name, void (*body)(Case&), Options options = {});
};

/// At namespace scope: sets an environment variable before MPI_Init unless the caller has set it.
struct Environment {
  Environment(const char* name, const char* value);
};
/// At namespace scope: the thread level that the program asks for; MPI_THREAD_FUNNELED without.
struct ThreadLevel {
  explicit ThreadLevel(int required);
};
/// The thread level that MPI gave.
int provided_thread_level();

/// Name of an MPI error, for messages.
std::string error_text(int code);
int error_class(int code);
bool is_open_mpi();

}  // namespace mpix::test

#define MPI_TEST(name, ...)                                                                \
  static void name(::mpix::test::Case& t);                                                 \
  static const ::mpix::test::Registration name##_registration(#name, name, ##__VA_ARGS__); \
  static void name([[maybe_unused]] ::mpix::test::Case& t)

/// Records a failure unless `condition`; further arguments are streamed into the message.
#define EXPECT(condition, ...)                                                                         \
  do {                                                                                                 \
    if (!(condition))                                                                                  \
      ::mpix::test::current().fail(__FILE__, __LINE__, ::mpix::text(#condition, ": ", ##__VA_ARGS__)); \
  } while (false)

/// As EXPECT, and leaves the body; only where this rank cannot go on, for the others may wait for it.
#define REQUIRE(condition, ...)                                                                        \
  do {                                                                                                 \
    if (!(condition)) {                                                                                \
      ::mpix::test::current().fail(__FILE__, __LINE__, ::mpix::text(#condition, ": ", ##__VA_ARGS__)); \
      throw ::mpix::test::Stop{};                                                                      \
    }                                                                                                  \
  } while (false)

/// Calls an MPI or MPIX function and expects success.
#define OK(call)                                                                                   \
  do {                                                                                             \
    const int ok_code_ = (call);                                                                   \
    if (ok_code_ != MPI_SUCCESS)                                                                   \
      ::mpix::test::current().fail(__FILE__, __LINE__,                                             \
                                   ::mpix::text(#call, ": ", ::mpix::test::error_text(ok_code_))); \
  } while (false)

/// Calls a function and expects an error of class `expected`.
#define EXPECT_ERROR(call, expected)                                                                       \
  do {                                                                                                     \
    const int error_code_ = (call);                                                                        \
    if (::mpix::test::error_class(error_code_) != (expected))                                              \
      ::mpix::test::current().fail(                                                                        \
          __FILE__, __LINE__,                                                                              \
          ::mpix::text(#call, ": expected ", #expected, ", got ", ::mpix::test::error_text(error_code_))); \
  } while (false)
