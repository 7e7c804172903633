/* SPDX-License-Identifier: BSD-3-Clause */
#include "decomposition.h"

#include "support.h"

void keep_part(Box* box, int axis, int parts, int index) {
  const int small = box->extent[axis] / parts;
  const int larger = box->extent[axis] % parts;
  box->start[axis] = index * small + (index < larger ? index : larger);
  box->extent[axis] = small + (index < larger ? 1 : 0);
}

Box pencil(const Decomposition* d, int rank, int by_p, int by_q) {
  Box box = {{0, 0, 0}, {d->n[X], d->n[Y], d->n[Z]}};
  keep_part(&box, by_p, d->procs[0], rank / d->procs[1]);
  keep_part(&box, by_q, d->procs[1], rank % d->procs[1]);
  return box;
}

size_t elements(const Box* box) {
  return (size_t)box->extent[X] * (size_t)box->extent[Y] * (size_t)box->extent[Z];
}

void decompose(Decomposition* d) {
  d->z = pencil(d, d->rank, X, Y);
  d->y = pencil(d, d->rank, X, Z);
  d->x = pencil(d, d->rank, Y, Z);
  CHECK(MPI_Comm_split(MPI_COMM_WORLD, d->rank % d->procs[1], d->rank, &d->column));
  CHECK(MPI_Comm_split(MPI_COMM_WORLD, d->rank / d->procs[1], d->rank, &d->row));
}

void free_decomposition(Decomposition* d) {
  CHECK(MPI_Comm_free(&d->row));
  CHECK(MPI_Comm_free(&d->column));
}
