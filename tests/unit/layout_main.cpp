// SPDX-License-Identifier: BSD-3-Clause
/// The tests of src/layout need an MPI for its datatypes: one process, no launcher.
#include <gtest/gtest.h>
#include <mpi.h>

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (MPI_Init(&argc, &argv) != MPI_SUCCESS) return 1;
  if (MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN) != MPI_SUCCESS) return 1;
  const int result = RUN_ALL_TESTS();
  return MPI_Finalize() == MPI_SUCCESS ? result : 1;
}
