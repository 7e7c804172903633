/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One mixture-of-experts layer. Every token (a row of WIDTH floats) goes to
 * TOP experts, which are spread over the ranks. The dispatch takes rows where
 * the model has them and puts them where the experts want them: grouped by
 * expert. The way back uses the same rows, swapped. Errors end the job, which
 * is what MPI's default error handler does.
 */
#include <mpix_layout.h>
#include <stdio.h>
#include <stdlib.h>

enum { TOKENS = 1000, WIDTH = 256, TOP = 2, EXPERTS = 4 /* of each rank */ };

/* Where a rank's rows go and what comes to it; a token makes TOP choices. */
typedef struct {
  int ranks;
  int* expert;       /* [TOKENS * TOP] expert of each choice, on any rank */
  MPI_Count* tokens; /* [TOKENS * TOP] the tokens of the choices, by expert */
  MPI_Count* slots;  /* [TOKENS * TOP] the choices themselves, by expert */
  int* sent;         /* [ranks * EXPERTS] rows for each expert */
  int* arriving;     /* [ranks * EXPERTS] rows by rank and expert of mine */
  MPI_Count rows;    /* that arrive here in all */
} Routing;

static void* array(size_t count, size_t bytes) {
  void* memory = calloc(count, bytes);
  if (memory == NULL && count > 0) MPI_Abort(MPI_COMM_WORLD, 1);
  return memory;
}

/* Stands for the model's router: different experts, at random. */
static void choose_experts(Routing* routing, unsigned seed) {
  const int experts = routing->ranks * EXPERTS;
  for (int token = 0; token < TOKENS; ++token) {
    seed = seed * 1664525u + 1013904223u;
    const int first = (int)((seed >> 8) % (unsigned)experts);
    int* const choice = &routing->expert[token * TOP];
    for (int k = 0; k < TOP; ++k) choice[k] = (first + k * (EXPERTS + 1)) % experts;
  }
}

/* Sorts the choices by expert, and tells every rank what comes to its experts. */
static void route(Routing* routing, int ranks, unsigned seed) {
  const int experts = ranks * EXPERTS;
  routing->ranks = ranks;
  routing->expert = array(TOKENS * TOP, sizeof(int));
  routing->tokens = array(TOKENS * TOP, sizeof(MPI_Count));
  routing->slots = array(TOKENS * TOP, sizeof(MPI_Count));
  routing->sent = array((size_t)experts, sizeof(int));
  routing->arriving = array((size_t)experts, sizeof(int));
  choose_experts(routing, seed);
  MPI_Count next = 0;
  for (int e = 0; e < experts; ++e)
    for (int choice = 0; choice < TOKENS * TOP; ++choice)
      if (routing->expert[choice] == e) {
        routing->tokens[next] = choice / TOP;
        routing->slots[next++] = choice;
        ++routing->sent[e];
      }
  MPI_Alltoall(routing->sent, EXPERTS, MPI_INT, /* the sizes first */
               routing->arriving, EXPERTS, MPI_INT, MPI_COMM_WORLD);
  routing->rows = 0;
  for (int i = 0; i < experts; ++i) routing->rows += routing->arriving[i];
}

/* Rows by index for each peer; rows[] says how many there are by expert. */
static MPIX_Layout row_layout(int ranks, const int rows[], const MPI_Count indices[]) {
  MPI_Count* counts = array((size_t)ranks, sizeof *counts);
  MPI_Datatype row;
  MPIX_Layout layout;
  for (int i = 0; i < ranks * EXPERTS; ++i) counts[i / EXPERTS] += rows[i];
  MPI_Type_contiguous(WIDTH, MPI_FLOAT, &row);
  MPI_Type_commit(&row);
  MPIX_Layout_create_indexed_block(ranks, counts, indices, row, &layout);
  MPI_Type_free(&row);
  free(counts);
  return layout;
}

/* Where the rows of expert `e` of this rank that come from `peer` begin. */
static MPI_Count first_row(const Routing* routing, int peer, int e) {
  MPI_Count row = 0;
  for (int p = 0; p < routing->ranks; ++p)
    for (int i = 0; i < EXPERTS; ++i)
      if (i < e || (i == e && p < peer)) row += routing->arriving[p * EXPERTS + i];
  return row;
}

/* A peer's rows arrive by expert; here all rows of an expert lie together. */
static MPIX_Layout expert_layout(const Routing* routing) {
  MPI_Count* indices = array((size_t)routing->rows, sizeof *indices);
  MPI_Count* next = indices;
  for (int peer = 0; peer < routing->ranks; ++peer)
    for (int e = 0; e < EXPERTS; ++e) {
      const int rows = routing->arriving[peer * EXPERTS + e];
      const MPI_Count first = first_row(routing, peer, e);
      for (int k = 0; k < rows; ++k) *next++ = first + k;
    }
  MPIX_Layout layout = row_layout(routing->ranks, routing->arriving, indices);
  free(indices);
  return layout;
}

/* Stands for the experts: the e-th of all multiplies its rows by e + 1. */
static void apply_experts(const Routing* routing, int rank, float* values) {
  for (int e = 0; e < EXPERTS; ++e)
    for (int peer = 0; peer < routing->ranks; ++peer) {
      const int rows = routing->arriving[peer * EXPERTS + e];
      const float factor = (float)(rank * EXPERTS + e + 1);
      for (int i = 0; i < rows * WIDTH; ++i) *values++ *= factor;
    }
}

/* Adds up what a token's experts made of it, and counts wrong elements. */
static int combine(const Routing* routing, const float* model, const float* returned) {
  int wrong = 0;
  for (int token = 0; token < TOKENS; ++token)
    for (int i = 0; i < WIDTH; ++i) {
      float sum = 0, expected = 0;
      for (int choice = token * TOP; choice < (token + 1) * TOP; ++choice) {
        const float factor = (float)(routing->expert[choice] + 1);
        sum += returned[choice * WIDTH + i];
        expected += model[token * WIDTH + i] * factor;
      }
      wrong += sum != expected;
    }
  return wrong;
}

static float* make_rows(MPI_Count rows) {
  const MPI_Aint bytes = (MPI_Aint)rows * WIDTH * (MPI_Aint)sizeof(float);
  float* memory;
  MPIX_Layout_mem_alloc(bytes, MPI_INFO_NULL, &memory);
  return memory;
}

int main(int argc, char** argv) {
  int rank, ranks, wrong, all_wrong = 0;
  Routing routing;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  route(&routing, ranks, (unsigned)rank);

  float* model = make_rows(TOKENS);
  float* dispatched = make_rows(routing.rows);
  float* returned = make_rows(TOKENS * TOP);
  for (int i = 0; i < TOKENS * WIDTH; ++i) model[i] = (float)(rank + i % 1000);

  /* A token may occur more than once in `tokens`; each choice has a slot. */
  MPIX_Layout tokens = row_layout(ranks, routing.sent, routing.tokens);
  MPIX_Layout slots = row_layout(ranks, routing.sent, routing.slots);
  MPIX_Layout experts = expert_layout(&routing);
  MPIX_Alltoallv_layout(model, tokens, dispatched, experts, MPI_COMM_WORLD);
  apply_experts(&routing, rank, dispatched);
  MPIX_Alltoallv_layout(dispatched, experts, returned, slots, MPI_COMM_WORLD);
  MPIX_Layout_free(&tokens);
  MPIX_Layout_free(&slots);
  MPIX_Layout_free(&experts);

  wrong = combine(&routing, model, returned);
  MPI_Reduce(&wrong, &all_wrong, 1, MPI_INT, MPI_SUM, 0, MPI_COMM_WORLD);
  if (rank == 0) {
    printf("%d tokens a rank, top %d of %d experts: ", TOKENS, TOP, ranks * EXPERTS);
    printf("%d wrong elements\n", all_wrong);
  }
  MPIX_Layout_mem_free(model);
  MPIX_Layout_mem_free(dispatched);
  MPIX_Layout_mem_free(returned);
  free(routing.expert);
  free(routing.tokens);
  free(routing.slots);
  free(routing.sent);
  free(routing.arriving);
  MPI_Finalize();
  return all_wrong != 0;
}
