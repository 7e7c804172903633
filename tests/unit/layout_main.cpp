// SPDX-License-Identifier: BSD-3-Clause
/// The tests of src/layout need an MPI for its datatypes: one process, no launcher.
#include <gtest/gtest.h>
#include <mpi.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>

/// What the MPI allocates while it starts is its own affair, and some of it is never freed.
struct OthersAllocations {
  OthersAllocations() { __lsan_disable(); }
  ~OthersAllocations() { __lsan_enable(); }
};
/// Before MPI_Finalize unloads the plugins whose memory would then look lost.
void check_for_leaks() {
  __lsan_do_leak_check();
}
#else
struct OthersAllocations {
  OthersAllocations() {}
};
void check_for_leaks() {}
#endif

int start_mpi(int* argc, char*** argv) {
  const OthersAllocations ignored;
  const int code = MPI_Init(argc, argv);
  return code == MPI_SUCCESS ? MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN) : code;
}

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (start_mpi(&argc, &argv) != MPI_SUCCESS) return 1;
  const int result = RUN_ALL_TESTS();
  check_for_leaks();
  return MPI_Finalize() == MPI_SUCCESS ? result : 1;
}
