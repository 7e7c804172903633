/* SPDX-License-Identifier: BSD-3-Clause */
/* The distributed transform: FFTW along the axes, transposes between them. */
#ifndef TRANSFORM_H
#define TRANSFORM_H

/* Before fftw3.h, so that FFTW takes C's complex numbers. */
#include <complex.h>
#include <fftw3.h>

#include "decomposition.h"
#include "transpose.h"

enum { FORWARD, INVERSE, DIRECTIONS };

typedef struct {
  Complex* data[2];                    /* the array and the place where a transpose puts it */
  int now;                             /* which of the two is the array */
  fftw_plan axis[2][DIRECTIONS][AXES]; /* NULL where this rank has no data */
  Transpose zy, yx, xy, yz;            /* named by pencils: from, to */
  double seconds;                      /* in transposes */
} Transform;

void make_transform(Transform* f, const Decomposition* d);
void free_transform(Transform* f);

/* z-pencils to transformed x-pencils. */
void forward(Transform* f, int method);

/* Back again; the values come out multiplied by the number of grid points. */
void inverse(Transform* f, int method);

#endif
