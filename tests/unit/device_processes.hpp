// SPDX-License-Identifier: BSD-3-Clause
/// Tests in processes of their own: each initialises CUDA by itself, which the test's process must not do.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <functional>
#include <iostream>

namespace mpix::device::testing {

inline pid_t fork_process(const std::function<void()>& part) {
  std::cout.flush();
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child != 0) return child;
  try {
    part();
  } catch (const std::exception& error) {
    ADD_FAILURE() << error.what();
  }
  std::cout.flush();
  std::fflush(nullptr);
  ::_exit(::testing::Test::HasFailure() ? 1 : 0);
}

/// Waits for the process; whether what it expected was so.
inline bool succeeded(pid_t child) {
  int status = 0;
  if (::waitpid(child, &status, 0) != child) return false;
  if (WIFSIGNALED(status)) std::cout << "killed by signal " << WTERMSIG(status) << std::endl;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace mpix::device::testing
