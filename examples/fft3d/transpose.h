/* SPDX-License-Identifier: BSD-3-Clause */
/* One transpose: boxes of the array that is sent become boxes of the array that is received. */
#ifndef TRANSPOSE_H
#define TRANSPOSE_H

#include <complex.h>
#include <mpi.h>
#include <mpix_layout.h>

#include "decomposition.h"

typedef double complex Complex;

enum { LAYOUT, DATATYPES, METHODS }; /* MPIX_Alltoallv_layout or MPI_Alltoallw */

/* One buffer's blocks by peer: as MPI_Alltoallw takes them, and the layout made from these. */
typedef struct {
  int* counts;
  int* displs;
  MPI_Datatype* types;
  MPIX_Layout layout;
} Side;

typedef struct {
  MPI_Comm comm;
  int peers;
  Side send, recv;
  MPIX_Layout_plan plan;
} Transpose;

/* From arrays shaped `before`, whose axis `from` is divided over `comm`, to arrays shaped `after`, with `to`
 * divided. Collective over `comm`. */
Transpose make_transpose(MPI_Comm comm, const Box* before, int from, const Box* after, int to);
void run_transpose(const Transpose* t, int method, const Complex* from, Complex* to);
void free_transpose(Transpose* t);

#endif
