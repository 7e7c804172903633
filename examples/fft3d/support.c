/* SPDX-License-Identifier: BSD-3-Clause */
#include "support.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

void check(int code, const char* call) {
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  if (code == MPI_SUCCESS) return;
  if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) length = 0;
  fprintf(stderr, "%s: %.*s\n", call, length, text);
  MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
}

void* allocate(size_t bytes) {
  void* memory = malloc(bytes > 0 ? bytes : 1);
  if (memory == NULL) check(MPI_ERR_NO_MEM, "malloc");
  return memory;
}
