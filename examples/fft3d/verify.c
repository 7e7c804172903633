/* SPDX-License-Identifier: BSD-3-Clause */
#include "verify.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "support.h"

static const double tolerance = 1e-12;

/* A value of the input: pseudo-random, the same whoever asks. */
static Complex input(const Decomposition* d, int x, int y, int z) {
  uint64_t h = ((uint64_t)x * (uint64_t)d->n[Y] + (uint64_t)y) * (uint64_t)d->n[Z] + (uint64_t)z + 1;
  h *= 0x9e3779b97f4a7c15u;
  h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93u;
  h ^= h >> 32;
  return (double)(h & 0xffffffffu) * 0x1p-31 - 1.0 + I * ((double)(h >> 32) * 0x1p-31 - 1.0);
}

void fill(const Decomposition* d, const Box* box, Complex* data) {
  for (int x = 0; x < box->extent[X]; ++x) {
    for (int y = 0; y < box->extent[Y]; ++y) {
      for (int z = 0; z < box->extent[Z]; ++z) {
        *data++ = input(d, box->start[X] + x, box->start[Y] + y, box->start[Z] + z);
      }
    }
  }
}

/* Euclidean norm of data - expected, and of expected, added to sums[0] and sums[1] as squares. */
static void add_squares(const Complex* data, double scale, const Complex* expected, size_t n,
                        double sums[2]) {
  for (size_t i = 0; i < n; ++i) {
    const Complex difference = data[i] * scale - expected[i];
    sums[0] += creal(difference * conj(difference));
    sums[1] += creal(expected[i] * conj(expected[i]));
  }
}

/* Collects all x-pencils in the whole grid on rank 0, by plain MPI. */
static void collect(const Decomposition* d, const Complex* data, Complex* whole) {
  MPI_Request sent;
  CHECK(MPI_Isend(data, (int)elements(&d->x), MPI_C_DOUBLE_COMPLEX, 0, 0, MPI_COMM_WORLD, &sent));
  for (int rank = 0; d->rank == 0 && rank < d->ranks; ++rank) {
    const Box box = pencil(d, rank, Y, Z);
    if (elements(&box) == 0) {
      CHECK(MPI_Recv(NULL, 0, MPI_C_DOUBLE_COMPLEX, rank, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE));
      continue;
    }
    MPI_Datatype part;
    CHECK(MPI_Type_create_subarray(AXES, d->n, box.extent, box.start, MPI_ORDER_C, MPI_C_DOUBLE_COMPLEX,
                                   &part));
    CHECK(MPI_Type_commit(&part));
    CHECK(MPI_Recv(whole, 1, part, rank, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE));
    CHECK(MPI_Type_free(&part));
  }
  CHECK(MPI_Wait(&sent, MPI_STATUS_IGNORE));
}

/* Relative error of the transformed x-pencils against FFTW's own transform; has a meaning on rank 0 only. */
static double forward_error(const Decomposition* d, const Complex* data) {
  const Box all = {{0, 0, 0}, {d->n[X], d->n[Y], d->n[Z]}};
  double sums[2] = {0, 0};
  Complex* whole = NULL;
  if (d->rank == 0) whole = allocate(elements(&all) * sizeof *whole);
  collect(d, data, whole);
  if (d->rank == 0) {
    Complex* expected = fftw_malloc(elements(&all) * sizeof *expected);
    if (expected == NULL) check(MPI_ERR_NO_MEM, "fftw_malloc");
    fftw_plan plan =
        fftw_plan_dft_3d(d->n[X], d->n[Y], d->n[Z], expected, expected, FFTW_FORWARD, FFTW_ESTIMATE);
    fill(d, &all, expected);
    fftw_execute(plan);
    add_squares(whole, 1.0, expected, elements(&all), sums);
    fftw_destroy_plan(plan);
    fftw_free(expected);
  }
  free(whole);
  return sqrt(sums[0] / sums[1]);
}

/* Relative error of z-pencils that went forth and back against the input; on every rank. */
static double round_trip_error(const Decomposition* d, const Complex* data) {
  const double scale = 1.0 / ((double)d->n[X] * d->n[Y] * d->n[Z]);
  Complex* expected = allocate(elements(&d->z) * sizeof *expected);
  double sums[2] = {0, 0};
  fill(d, &d->z, expected);
  add_squares(data, scale, expected, elements(&d->z), sums);
  free(expected);
  CHECK(MPI_Allreduce(MPI_IN_PLACE, sums, 2, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD));
  return sqrt(sums[0] / sums[1]);
}

int check_results(const Decomposition* d, Transform* f, int method, const char* name) {
  double errors[2];
  fill(d, &d->z, f->data[f->now]);
  forward(f, method);
  errors[0] = forward_error(d, f->data[f->now]);
  inverse(f, method);
  errors[1] = round_trip_error(d, f->data[f->now]);
  CHECK(MPI_Bcast(errors, 2, MPI_DOUBLE, 0, MPI_COMM_WORLD));
  /* Written so that a NaN is wrong. */
  const int wrong = !(errors[0] <= tolerance && errors[1] <= tolerance);
  if (d->rank == 0) {
    printf("%-22s relative error %.2e against fftw_plan_dft_3d, %.2e forth and back: %s\n", name, errors[0],
           errors[1], wrong ? "WRONG" : "correct");
  }
  return wrong;
}
