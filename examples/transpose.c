/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transposes a matrix that is distributed by rows. Rank i sends the block of
 * its rows and rank j's columns as it lies; rank j receives the same bytes
 * column by column. Nobody packs, nobody transposes in a second pass. Errors
 * end the job, which is what MPI's default error handler does.
 */
#include <mpix_layout.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 500 }; /* the matrix is N x N */

/* The first row of rank `rank` of `ranks`; rank `ranks` gives N. */
static int first_row(int rank, int ranks) {
  return (int)((long long)N * rank / ranks);
}

/* For each peer the columns that will be its rows, out of `rows` rows. */
static MPIX_Layout send_layout(int rows, int ranks) {
  MPI_Count* counts = malloc((size_t)ranks * sizeof *counts);
  MPI_Aint* displs = malloc((size_t)ranks * sizeof *displs);
  MPI_Datatype* types = malloc((size_t)ranks * sizeof *types);
  MPIX_Layout layout;
  for (int p = 0; p < ranks; ++p) {
    const int columns = first_row(p + 1, ranks) - first_row(p, ranks);
    MPI_Type_vector(rows, columns, N, MPI_DOUBLE, &types[p]);
    MPI_Type_commit(&types[p]);
    counts[p] = 1;
    displs[p] = (MPI_Aint)sizeof(double) * first_row(p, ranks);
  }
  MPIX_Layout_create_w(ranks, counts, displs, types, &layout);
  for (int p = 0; p < ranks; ++p) MPI_Type_free(&types[p]);
  free(types);
  free(displs);
  free(counts);
  return layout;
}

/* Each row of a peer's block becomes a column of this rank's `rows` rows. */
static MPIX_Layout recv_layout(int rows, int ranks) {
  MPI_Count* counts = malloc((size_t)ranks * sizeof *counts);
  MPI_Count* displs = malloc((size_t)ranks * sizeof *displs);
  MPI_Datatype column, next;
  MPIX_Layout layout;
  MPI_Type_vector(rows, 1, N, MPI_DOUBLE, &column);
  /* The next column starts one element on. */
  MPI_Type_create_resized(column, 0, sizeof(double), &next);
  MPI_Type_commit(&next);
  for (int p = 0; p < ranks; ++p) {
    counts[p] = first_row(p + 1, ranks) - first_row(p, ranks);
    displs[p] = first_row(p, ranks);
  }
  MPIX_Layout_create_v(ranks, counts, displs, next, &layout);
  MPI_Type_free(&next);
  MPI_Type_free(&column);
  free(displs);
  free(counts);
  return layout;
}

static double element(int row, int column) {
  return 1000.0 * row + column;
}

int main(int argc, char** argv) {
  int rank, ranks, wrong = 0, all_wrong = 0;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  const int first = first_row(rank, ranks);
  const int rows = first_row(rank + 1, ranks) - first;
  const MPI_Aint bytes = (MPI_Aint)sizeof(double) * rows * N;
  double *a, *b;
  MPIX_Layout_mem_alloc(bytes, MPI_INFO_NULL, &a);
  MPIX_Layout_mem_alloc(bytes, MPI_INFO_NULL, &b);
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < N; ++j) a[i * N + j] = element(first + i, j);

  /* Planned once; a solver would start the plan at every step. */
  MPIX_Layout from = send_layout(rows, ranks), to = recv_layout(rows, ranks);
  MPIX_Layout_plan plan;
  MPIX_Alltoallv_layout_init(from, to, MPI_COMM_WORLD, MPI_INFO_NULL, &plan);
  MPIX_Layout_free(&from);
  MPIX_Layout_free(&to);
  MPI_Request request;
  MPIX_Layout_plan_start(plan, a, b, &request);
  MPI_Wait(&request, MPI_STATUS_IGNORE);
  MPIX_Layout_plan_free(&plan);

  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < N; ++j) wrong += b[i * N + j] != element(j, first + i);
  MPI_Reduce(&wrong, &all_wrong, 1, MPI_INT, MPI_SUM, 0, MPI_COMM_WORLD);
  if (rank == 0) {
    printf("transpose of %d x %d on %d ranks: ", N, N, ranks);
    printf("%d wrong elements\n", all_wrong);
  }
  MPIX_Layout_mem_free(a);
  MPIX_Layout_mem_free(b);
  MPI_Finalize();
  return all_wrong != 0;
}
