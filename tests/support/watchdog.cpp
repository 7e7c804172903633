// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/watchdog.hpp"

#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

#include "base/text.hpp"

namespace mpix::test {
namespace {

using Clock = std::chrono::steady_clock;

struct State {
  std::mutex mutex;
  std::condition_variable wake;
  std::thread thread;
  bool stopping = false;
  bool armed = false;
  Clock::time_point deadline;
  Clock::time_point since;
  std::string what;
  std::atomic<const char*> phase{nullptr};
  int rank = -1, size = 0;
  pthread_t watched{};
};

State& state() {
  static State instance;
  return instance;
}

/// The signal handler writes the stack here, since it must not allocate; the watching thread prints it.
int stack_file = -1;
std::atomic<bool> stack_written{false};

void write_stack(int) {
  std::array<void*, 64> frames{};
  const int depth = backtrace(frames.data(), static_cast<int>(frames.size()));
  backtrace_symbols_fd(frames.data(), depth, stack_file);
  stack_written = true;
}

std::string read_stack() {
  std::string all(16384, '\0');
  const ssize_t bytes = pread(stack_file, all.data(), all.size(), 0);
  all.resize(bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
  return all;
}

/// Ranks reach their deadlines within moments of each other; the pause lets all of them print before the
/// launcher, seeing the first exit, kills the rest.
[[noreturn]] void give_up(const State& s) {
  const char* phase = s.phase.load();
  const double seconds = std::chrono::duration<double>(Clock::now() - s.since).count();
  pthread_kill(s.watched, SIGUSR2);
  for (int i = 0; i < 20 && !stack_written; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const std::string out =
      text("HANG: rank ", s.rank, " of ", s.size, ", pid ", getpid(), ": ", s.what, ", phase ",
           phase != nullptr ? phase : "-", ", after ", seconds, " s\n", read_stack());
  std::fputs(out.c_str(), stderr);
  std::this_thread::sleep_for(std::chrono::seconds(2));
  _exit(1);
}

void watch() {
  State& s = state();
  std::unique_lock lock(s.mutex);
  while (!s.stopping) {
    s.wake.wait_for(lock, std::chrono::milliseconds(500));
    if (s.armed && Clock::now() > s.deadline) give_up(s);
  }
}

}  // namespace

void watchdog_start(int rank, int size) {
  State& s = state();
  s.rank = rank;
  s.size = size;
  s.watched = pthread_self();
  std::array<void*, 1> frame{};
  backtrace(frame.data(), 1);  // loads the unwinder now, which is not safe inside a signal handler
  struct sigaction action = {};
  stack_file = memfd_create("stack", MFD_CLOEXEC);
  action.sa_handler = write_stack;
  sigaction(SIGUSR2, &action, nullptr);
  s.thread = std::thread(watch);
}

void watchdog_stop() {
  State& s = state();
  {
    const std::lock_guard lock(s.mutex);
    s.stopping = true;
  }
  s.wake.notify_all();
  if (s.thread.joinable()) s.thread.join();
}

void watchdog_arm(const std::string& what, double seconds) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.what = what;
  s.phase = nullptr;
  s.since = Clock::now();
  s.deadline = s.since + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  s.armed = true;
}

void watchdog_phase(const char* phase) {
  state().phase = phase;
}

void watchdog_disarm() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.armed = false;
}

}  // namespace mpix::test
