/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One mixture-of-experts layer. Every token (a row of WIDTH floats) goes to TOP experts, which are spread
 * over the ranks. The dispatch takes rows where the model has them and puts them where the experts want them:
 * grouped by expert. The way back uses the same two sets of rows, swapped. Errors end the job, which is what
 * MPI's default error handler does.
 */
#include <mpix_layout.h>
#include <stdio.h>
#include <stdlib.h>

enum { TOKENS = 1000, WIDTH = 256, TOP = 2, EXPERTS = 4 /* of each rank */ };

/* The experts of one rank's tokens and how many rows go where. */
typedef struct {
  int ranks;
  int* expert;       /* [TOKENS * TOP] expert of each choice, 0 ... ranks * EXPERTS - 1 */
  MPI_Count* tokens; /* [TOKENS * TOP] choices sorted by expert: the token of each */
  MPI_Count* slots;  /* [TOKENS * TOP] likewise: the choice itself */
  int* sent;         /* [ranks * EXPERTS] rows that this rank sends to each expert */
  int* arriving;     /* [ranks * EXPERTS] rows from each rank for each of this rank's experts */
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
    for (int k = 0; k < TOP; ++k) routing->expert[token * TOP + k] = (first + k * (EXPERTS + 1)) % experts;
  }
}

/* Sorts the choices by expert, and tells every rank how many rows come for each of its experts. */
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
  MPI_Alltoall(routing->sent, EXPERTS, MPI_INT, routing->arriving, EXPERTS, MPI_INT, MPI_COMM_WORLD);
  routing->rows = 0;
  for (int i = 0; i < experts; ++i) routing->rows += routing->arriving[i];
}

/* Rows by index for each peer, of which `rows` says how many go to (come from) each expert. */
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

/* A peer's rows arrive sorted by expert; they are put behind the rows of lower experts and lower peers. */
static MPIX_Layout expert_layout(const Routing* routing) {
  MPI_Count* indices = array((size_t)routing->rows, sizeof *indices);
  MPI_Count* listed = indices;
  for (int peer = 0; peer < routing->ranks; ++peer)
    for (int e = 0; e < EXPERTS; ++e) {
      MPI_Count place = 0;
      for (int i = 0; i < routing->ranks * EXPERTS;
           ++i) /* i: rows of peer i / EXPERTS for expert i % EXPERTS */
        if (i % EXPERTS < e || (i % EXPERTS == e && i / EXPERTS < peer)) place += routing->arriving[i];
      for (int k = 0; k < routing->arriving[peer * EXPERTS + e]; ++k) *listed++ = place + k;
    }
  MPIX_Layout layout = row_layout(routing->ranks, routing->arriving, indices);
  free(indices);
  return layout;
}

/* Stands for the experts: expert e multiplies its rows by e + 1. */
static void apply_experts(const Routing* routing, int rank, float* rows) {
  for (int e = 0; e < EXPERTS; ++e)
    for (int peer = 0; peer < routing->ranks; ++peer)
      for (int k = 0; k < routing->arriving[peer * EXPERTS + e]; ++k, rows += WIDTH)
        for (int i = 0; i < WIDTH; ++i) rows[i] *= (float)(rank * EXPERTS + e + 1);
}

/* Adds up what a token's experts made of it; returns how many elements are not what they should be. */
static int combine_and_check(const Routing* routing, const float* model, const float* returned) {
  int wrong = 0;
  for (int token = 0; token < TOKENS; ++token)
    for (int i = 0; i < WIDTH; ++i) {
      float sum = 0, expected = 0;
      for (int k = 0; k < TOP; ++k) {
        sum += returned[(token * TOP + k) * WIDTH + i];
        expected += model[token * WIDTH + i] * (float)(routing->expert[token * TOP + k] + 1);
      }
      wrong += sum != expected;
    }
  return wrong;
}

static float* rows_of_floats(MPI_Count rows) {
  float* memory;
  MPIX_Layout_mem_alloc((MPI_Aint)rows * WIDTH * (MPI_Aint)sizeof(float), MPI_INFO_NULL, &memory);
  return memory;
}

int main(int argc, char** argv) {
  int rank, ranks, wrong, all_wrong = 0;
  Routing routing;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  route(&routing, ranks, (unsigned)rank);

  float* model = rows_of_floats(TOKENS);
  float* dispatched = rows_of_floats(routing.rows);
  float* returned = rows_of_floats(TOKENS * TOP);
  for (int i = 0; i < TOKENS * WIDTH; ++i) model[i] = (float)(rank + i % 1000);

  MPIX_Layout tokens = row_layout(ranks, routing.sent, routing.tokens); /* a token may occur more than once */
  MPIX_Layout choices = row_layout(ranks, routing.sent, routing.slots); /* a row of its own for each choice */
  MPIX_Layout experts = expert_layout(&routing);
  MPIX_Alltoallv_layout(model, tokens, dispatched, experts, MPI_COMM_WORLD);
  apply_experts(&routing, rank, dispatched);
  MPIX_Alltoallv_layout(dispatched, experts, returned, choices, MPI_COMM_WORLD);
  MPIX_Layout_free(&tokens);
  MPIX_Layout_free(&choices);
  MPIX_Layout_free(&experts);

  wrong = combine_and_check(&routing, model, returned);
  MPI_Reduce(&wrong, &all_wrong, 1, MPI_INT, MPI_SUM, 0, MPI_COMM_WORLD);
  if (rank == 0)
    printf("%d tokens a rank, top %d of %d experts: %d wrong elements\n", TOKENS, TOP, ranks * EXPERTS,
           all_wrong);
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
