/* SPDX-License-Identifier: BSD-3-Clause */
/* Input, and comparison of results with FFTW's own three-dimensional transform. */
#ifndef VERIFY_H
#define VERIFY_H

#include "decomposition.h"
#include "transform.h"

/* The input of the grid points of `box`. */
void fill(const Decomposition* d, const Box* box, Complex* data);

/* Transforms the input forth and back and prints the errors on rank 0. Gives 1, on every rank, where one is
 * too large. */
int check_results(const Decomposition* d, Transform* f, int method, const char* name);

#endif
