/* SPDX-License-Identifier: BSD-3-Clause */
#include "transform.h"

#include <mpix_layout.h>
#include <string.h>

#include "support.h"

/* All lines along `axis` of an array of the shape of `box`, in place. */
static fftw_plan plan_axis(Complex* data, const Box* box, int axis, int sign) {
  const ptrdiff_t stride[AXES] = {(ptrdiff_t)box->extent[Y] * box->extent[Z], box->extent[Z], 1};
  const int other[2] = {axis == X ? Y : X, axis == Z ? Y : Z};
  const fftw_iodim64 line = {box->extent[axis], stride[axis], stride[axis]};
  fftw_iodim64 lines[2];
  if (elements(box) == 0) return NULL;
  for (int i = 0; i < 2; ++i) {
    lines[i] = (fftw_iodim64){box->extent[other[i]], stride[other[i]], stride[other[i]]};
  }
  return fftw_plan_guru64_dft(1, &line, 2, lines, data, data, sign, FFTW_ESTIMATE);
}

void make_transform(Transform* f, const Decomposition* d) {
  const Box* boxes[AXES] = {&d->x, &d->y, &d->z};
  size_t most = 1;
  memset(f, 0, sizeof *f);
  for (int axis = 0; axis < AXES; ++axis) {
    if (elements(boxes[axis]) > most) most = elements(boxes[axis]);
  }
  /* Other ranks of the node can map this memory; any other memory works as well. */
  for (int i = 0; i < 2; ++i) {
    CHECK(MPIX_Layout_mem_alloc((MPI_Aint)(most * sizeof(Complex)), MPI_INFO_NULL, &f->data[i]));
    for (int axis = 0; axis < AXES; ++axis) {
      f->axis[i][FORWARD][axis] = plan_axis(f->data[i], boxes[axis], axis, FFTW_FORWARD);
      f->axis[i][INVERSE][axis] = plan_axis(f->data[i], boxes[axis], axis, FFTW_BACKWARD);
    }
  }
  f->zy = make_transpose(d->row, &d->z, Y, &d->y, Z);
  f->yx = make_transpose(d->column, &d->y, X, &d->x, Y);
  f->xy = make_transpose(d->column, &d->x, Y, &d->y, X);
  f->yz = make_transpose(d->row, &d->y, Z, &d->z, Y);
}

void free_transform(Transform* f) {
  Transpose* all[] = {&f->zy, &f->yx, &f->xy, &f->yz};
  for (int i = 0; i < 4; ++i) free_transpose(all[i]);
  for (int i = 0; i < 2; ++i) {
    for (int axis = 0; axis < AXES; ++axis) {
      if (f->axis[i][FORWARD][axis] != NULL) fftw_destroy_plan(f->axis[i][FORWARD][axis]);
      if (f->axis[i][INVERSE][axis] != NULL) fftw_destroy_plan(f->axis[i][INVERSE][axis]);
    }
    CHECK(MPIX_Layout_mem_free(f->data[i]));
  }
}

static void transform_axis(Transform* f, int direction, int axis) {
  const fftw_plan plan = f->axis[f->now][direction][axis];
  if (plan != NULL) fftw_execute(plan);
}

static void transpose(Transform* f, const Transpose* t, int method) {
  if (t->peers == 1) return; /* the shape stays as it is */
  const double start = MPI_Wtime();
  run_transpose(t, method, f->data[f->now], f->data[1 - f->now]);
  f->now = 1 - f->now;
  f->seconds += MPI_Wtime() - start;
}

void forward(Transform* f, int method) {
  transform_axis(f, FORWARD, Z);
  transpose(f, &f->zy, method);
  transform_axis(f, FORWARD, Y);
  transpose(f, &f->yx, method);
  transform_axis(f, FORWARD, X);
}

void inverse(Transform* f, int method) {
  transform_axis(f, INVERSE, X);
  transpose(f, &f->xy, method);
  transform_axis(f, INVERSE, Y);
  transpose(f, &f->yz, method);
  transform_axis(f, INVERSE, Z);
}
