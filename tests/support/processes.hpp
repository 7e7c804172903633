// SPDX-License-Identifier: BSD-3-Clause
/// Tests in processes of their own, for what a process can do only once, such as loading a driver. With
/// GoogleTest.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <functional>
#include <iostream>

namespace mpix::test {

inline pid_t start_process(const std::function<void()>& part) {
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

/// Waits for it; its exit status, or 128 more than the signal that ended it.
inline int end_of(pid_t child) {
  int status = 0;
  if (::waitpid(child, &status, 0) != child) return -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/// `part` in a process of its own; whether it found what it expected.
inline bool alone(const std::function<void()>& part) {
  return end_of(start_process(part)) == 0;
}

}  // namespace mpix::test
