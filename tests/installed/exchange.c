/* SPDX-License-Identifier: BSD-3-Clause */
/* A program of a user: built against the installed library through pkg-config, in C99. Rank i sends row r of
 * a matrix to rank r, which stores it as column i. */
#include <mpix_layout.h>
#include <stdio.h>
#include <stdlib.h>

static void check(int ok, const char* what) {
  if (ok) return;
  fprintf(stderr, "FAIL: %s\n", what);
  MPI_Abort(MPI_COMM_WORLD, 1);
}

/* What rank `from` sends to rank `to`, element k. */
static double value(int from, int to, int k) {
  return 1e6 * from + 1e3 * to + k;
}

static MPIX_Layout rows_layout(int ranks, int length, const MPI_Count counts[]) {
  MPIX_Layout layout = MPIX_LAYOUT_NULL;
  MPI_Datatype row;
  MPI_Count* indices = malloc((size_t)ranks * sizeof *indices);
  check(indices != NULL, "memory");
  for (int p = 0; p < ranks; ++p) indices[p] = p;
  MPI_Type_contiguous(length, MPI_DOUBLE, &row);
  MPI_Type_commit(&row);
  check(MPIX_Layout_create_indexed_block(ranks, counts, indices, row, &layout) == MPI_SUCCESS, "rows");
  MPI_Type_free(&row);
  free(indices);
  return layout;
}

static MPIX_Layout columns_layout(int ranks, int length, const MPI_Count counts[]) {
  MPIX_Layout layout = MPIX_LAYOUT_NULL;
  MPI_Datatype column, resized;
  MPI_Count* displs = malloc((size_t)ranks * sizeof *displs);
  check(displs != NULL, "memory");
  for (int p = 0; p < ranks; ++p) displs[p] = p;
  MPI_Type_vector(length, 1, ranks, MPI_DOUBLE, &column);
  MPI_Type_create_resized(column, 0, sizeof(double), &resized);
  MPI_Type_commit(&resized);
  check(MPIX_Layout_create_v(ranks, counts, displs, resized, &layout) == MPI_SUCCESS, "columns");
  MPI_Type_free(&resized);
  MPI_Type_free(&column);
  free(displs);
  return layout;
}

static void check_received(const double* received, int rank, int ranks, int length) {
  for (int k = 0; k < length; ++k)
    for (int p = 0; p < ranks; ++p) check(received[k * ranks + p] == value(p, rank, k), "received value");
}

static void exchange(int rank, int ranks, int length) {
  const size_t bytes = (size_t)ranks * (size_t)length * sizeof(double);
  double* sent = malloc(bytes);
  double* received = NULL;
  MPI_Count* counts = malloc((size_t)ranks * sizeof *counts);
  MPI_Request request;
  MPIX_Layout_plan plan = MPIX_LAYOUT_PLAN_NULL;
  check(sent != NULL && counts != NULL, "memory");
  check(MPIX_Layout_mem_alloc((MPI_Aint)bytes, MPI_INFO_NULL, &received) == MPI_SUCCESS, "mem_alloc");
  for (int p = 0; p < ranks; ++p) {
    counts[p] = 1;
    for (int k = 0; k < length; ++k) sent[p * length + k] = value(rank, p, k);
  }
  MPIX_Layout rows = rows_layout(ranks, length, counts);
  MPIX_Layout columns = columns_layout(ranks, length, counts);

  check(MPIX_Alltoallv_layout(sent, rows, received, columns, MPI_COMM_WORLD) == MPI_SUCCESS, "blocking");
  check_received(received, rank, ranks, length);
  for (int k = 0; k < ranks * length; ++k) received[k] = -1;
  check(MPIX_Alltoallv_layout_init(rows, columns, MPI_COMM_WORLD, MPI_INFO_NULL, &plan) == MPI_SUCCESS,
        "init");
  check(MPIX_Layout_plan_start(plan, sent, received, &request) == MPI_SUCCESS, "start");
  check(MPI_Wait(&request, MPI_STATUS_IGNORE) == MPI_SUCCESS, "wait");
  check_received(received, rank, ranks, length);

  check(MPIX_Layout_plan_free(&plan) == MPI_SUCCESS, "plan_free");
  check(MPIX_Layout_free(&rows) == MPI_SUCCESS && MPIX_Layout_free(&columns) == MPI_SUCCESS, "free");
  check(MPIX_Layout_mem_free(received) == MPI_SUCCESS, "mem_free");
  free(counts);
  free(sent);
}

int main(int argc, char** argv) {
  int rank, ranks, major, minor, patch;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  check(MPIX_Layout_get_version(&major, &minor, &patch) == MPI_SUCCESS, "version");
  check(major == MPIX_LAYOUT_VERSION_MAJOR && minor == MPIX_LAYOUT_VERSION_MINOR, "header and library agree");
  exchange(rank, ranks, 1);
  exchange(rank, ranks, 40000);
  if (rank == 0)
    printf("installed library %d.%d.%d: exchanges on %d ranks are right\n", major, minor, patch, ranks);
  MPI_Finalize();
  return 0;
}
