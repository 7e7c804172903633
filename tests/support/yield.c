// SPDX-License-Identifier: BSD-3-Clause
/// Preloaded into jobs of an MPI whose ranks poll UCX without ever letting go of the processor (MPICH 4):
/// with more ranks than cores each message then waits for the scheduler. A rank that finds nothing lets
/// others run.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sched.h>

typedef unsigned (*progress_function)(void* worker);

unsigned ucp_worker_progress(void* worker);
unsigned ucp_worker_progress(void* worker) {
  static progress_function progress;  // every thread finds the same
  if (progress == 0) {
    union {
      void* address;
      progress_function function;
    } found = {dlsym(RTLD_NEXT, "ucp_worker_progress")};
    progress = found.function;
  }
  const unsigned happened = progress(worker);
  if (happened == 0) sched_yield();
  return happened;
}
