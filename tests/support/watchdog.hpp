// SPDX-License-Identifier: BSD-3-Clause
/// Turns a hang into a failure: when the deadline passes, every rank prints what it is doing and exits.
#pragma once

#include <string>

namespace mpix::test {

/// Starts the watching thread; the calling thread is the one whose stack is printed. Once per process.
void watchdog_start(int rank, int size);
/// Stops it; to be called before the process ends normally.
void watchdog_stop();
/// From now on the process is in `what`, which must end within `seconds`.
void watchdog_arm(const std::string& what, double seconds);
/// What the current case is doing, printed on a hang; `phase` must live for ever (a literal).
void watchdog_phase(const char* phase);
void watchdog_disarm();

}  // namespace mpix::test
