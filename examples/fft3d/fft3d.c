/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A distributed three-dimensional FFT of complex doubles. FFTW does the one-dimensional transforms; the
 * transposes between them are planned exchanges of this library.
 *
 * The ranks form a P x Q grid. In every state an array of three axes (z contiguous) has one axis whole on
 * each rank, so that it can be transformed, and the two others divided:
 *
 *   z-pencils: x over P, y over Q        --- transpose among the Q ranks of a row:    y divided -> z divided
 *   y-pencils: x over P, z over Q        --- transpose among the P ranks of a column: x divided -> y divided
 *   x-pencils: y over P, z over Q
 *
 * A transpose neither packs nor unpacks: the box that a peer gets is a subarray of the array that is sent,
 * the box that comes from it a subarray of the array that is received, and the two layouts say so. The same
 * datatypes given to MPI_Alltoallw do the same, which is what the times are compared with.
 *
 *   mpirun -n 4 fft3d --grid 256x256x256
 */
#include <getopt.h>
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "decomposition.h"
#include "support.h"
#include "transform.h"
#include "verify.h"

static int compare_doubles(const void* a, const void* b) {
  const double x = *(const double*)a;
  const double y = *(const double*)b;
  return (x > y) - (x < y);
}

/* Median over the iterations of the longest time of any rank. Destroys `seconds`. */
static double median(double* seconds, int iterations) {
  CHECK(MPI_Allreduce(MPI_IN_PLACE, seconds, iterations, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD));
  qsort(seconds, (size_t)iterations, sizeof *seconds, compare_doubles);
  return seconds[iterations / 2];
}

/* Forth and back `iterations` times; the methods take turns, so that a busy machine slows both alike. */
static void measure(const Decomposition* d, Transform* f, int iterations, const char* const names[METHODS]) {
  double* total[METHODS];
  double* transposes[METHODS];
  double middle[METHODS];
  for (int m = 0; m < METHODS; ++m) {
    total[m] = allocate((size_t)iterations * sizeof **total);
    transposes[m] = allocate((size_t)iterations * sizeof **transposes);
  }
  for (int i = 0; i < iterations; ++i) {
    for (int m = 0; m < METHODS; ++m) {
      fill(d, &d->z, f->data[f->now]);
      CHECK(MPI_Barrier(MPI_COMM_WORLD));
      f->seconds = 0;
      const double start = MPI_Wtime();
      forward(f, m);
      inverse(f, m);
      total[m][i] = MPI_Wtime() - start;
      transposes[m][i] = f->seconds;
    }
  }
  for (int m = 0; m < METHODS; ++m) {
    middle[m] = median(transposes[m], iterations);
    const double all = median(total[m], iterations);
    if (d->rank == 0)
      printf("%-22s %10.3f ms in transposes, %10.3f ms in all\n", names[m], middle[m] * 1e3, all * 1e3);
    free(total[m]);
    free(transposes[m]);
  }
  if (d->rank == 0 && middle[LAYOUT] > 0) {
    printf("MPI_Alltoallw takes %.2f times the time of MPIX_Alltoallv_layout\n",
           middle[DATATYPES] / middle[LAYOUT]);
  }
}

static const char usage[] =
    "Usage: mpirun [...] fft3d [options]\n"
    "Distributed 3-D FFT whose transposes are planned layout exchanges, checked against FFTW's own.\n"
    "  --grid NXxNYxNZ  points along each axis (default 128x128x128)\n"
    "  --procs PxQ      ranks along the two divided axes (default: P the largest divisor of the number of\n"
    "                   ranks not above its square root)\n"
    "  --iterations N   timed transforms, each forth and back (default 5)\n"
    "  --help           print this text\n"
    "Exits with 1 where a relative error exceeds 1e-12. Times are of both directions together: medians over\n"
    "the iterations of the longest time of any rank.\n";

/* Reads `n` positive numbers with an x between each two; gives 1 on success. */
static int parse_numbers(const char* text, int n, int numbers[]) {
  for (int i = 0; i < n; ++i) {
    char* end = NULL;
    const long value = strtol(text, &end, 10);
    if (end == text || value < 1 || value > INT32_MAX || *end != (i + 1 < n ? 'x' : '\0')) return 0;
    numbers[i] = (int)value;
    text = end + 1;
  }
  return 1;
}

typedef struct {
  int help, iterations;
} Options;

/* Gives 1 on success; complains on rank 0 otherwise. */
static int parse(int argc, char* argv[], Options* options, Decomposition* d) {
  static const struct option known[] = {{"grid", required_argument, NULL, 'g'},
                                        {"procs", required_argument, NULL, 'p'},
                                        {"iterations", required_argument, NULL, 'i'},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};
  int good = 1;
  opterr = d->rank == 0;
  for (int code; good && (code = getopt_long(argc, argv, "", known, NULL)) != -1;) {
    switch (code) {
      case 'g':
        good = parse_numbers(optarg, AXES, d->n);
        break;
      case 'p':
        good = parse_numbers(optarg, 2, d->procs);
        break;
      case 'i':
        good = parse_numbers(optarg, 1, &options->iterations);
        break;
      case 'h':
        options->help = 1;
        break;
      default:
        good = 0;
        break;
    }
  }
  if (!good || optind < argc || d->procs[0] * d->procs[1] != d->ranks) {
    if (d->rank == 0) fprintf(stderr, "%s: wrong arguments for %d ranks\n%s", argv[0], d->ranks, usage);
    return 0;
  }
  return 1;
}

int main(int argc, char* argv[]) {
  static const char* const names[METHODS] = {"MPIX_Alltoallv_layout", "MPI_Alltoallw"};
  Options options = {0, 5};
  Decomposition d = {.n = {128, 128, 128}, .procs = {1, 1}};
  int wrong = 0;
  CHECK(MPI_Init(&argc, &argv));
  CHECK(MPI_Comm_size(MPI_COMM_WORLD, &d.ranks));
  CHECK(MPI_Comm_rank(MPI_COMM_WORLD, &d.rank));
  for (int p = 1; p * p <= d.ranks; ++p) {
    if (d.ranks % p == 0) d.procs[0] = p;
  }
  d.procs[1] = d.ranks / d.procs[0];
  const int good = parse(argc, argv, &options, &d);
  if (good && options.help && d.rank == 0) fputs(usage, stdout);
  if (good && !options.help) {
    Transform f;
    decompose(&d);
    make_transform(&f, &d);
    if (d.rank == 0) printf("%dx%dx%d on %dx%d ranks\n", d.n[X], d.n[Y], d.n[Z], d.procs[0], d.procs[1]);
    for (int m = 0; m < METHODS; ++m) wrong |= check_results(&d, &f, m, names[m]);
    measure(&d, &f, options.iterations, names);
    free_transform(&f);
    free_decomposition(&d);
  }
  CHECK(MPI_Finalize());
  return good ? wrong : 2;
}
