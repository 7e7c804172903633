/* SPDX-License-Identifier: BSD-3-Clause */
/* Which rank has which part of the grid. */
#ifndef DECOMPOSITION_H
#define DECOMPOSITION_H

#include <mpi.h>
#include <stddef.h>

enum { X, Y, Z, AXES };

typedef struct {
  int start[AXES];
  int extent[AXES];
} Box;

typedef struct {
  int n[AXES];  /* the whole grid */
  int procs[2]; /* P, Q */
  int ranks, rank;
  MPI_Comm column; /* the P ranks that share the second coordinate */
  MPI_Comm row;    /* the Q ranks that share the first one */
  Box z, y, x;     /* this rank's z-, y- and x-pencils */
} Decomposition;

/* Divides axis `axis` of `box` into `parts` as even as possible and keeps part `index`. */
void keep_part(Box* box, int axis, int parts, int index);

/* The pencils of one rank: axis `by_p` is divided over P, axis `by_q` over Q. */
Box pencil(const Decomposition* d, int rank, int by_p, int by_q);

size_t elements(const Box* box);

/* Sets communicators and pencils from n, procs, ranks and rank. Collective over MPI_COMM_WORLD. */
void decompose(Decomposition* d);
void free_decomposition(Decomposition* d);

#endif
