/* SPDX-License-Identifier: BSD-3-Clause */
#include "transpose.h"

#include <stdlib.h>

#include "support.h"

/* `array` is a local array; `axis`, whole in it, is divided among the peers. */
static Side make_side(int peers, const Box* array, int axis) {
  Side side;
  MPI_Count* counts = allocate((size_t)peers * sizeof *counts);
  MPI_Aint* displs = allocate((size_t)peers * sizeof *displs);
  side.counts = allocate((size_t)peers * sizeof *side.counts);
  side.displs = allocate((size_t)peers * sizeof *side.displs);
  side.types = allocate((size_t)peers * sizeof *side.types);
  for (int peer = 0; peer < peers; ++peer) {
    Box part = {{0, 0, 0}, {array->extent[X], array->extent[Y], array->extent[Z]}};
    keep_part(&part, axis, peers, peer);
    const int any = elements(&part) > 0;
    side.types[peer] = MPI_BYTE;
    if (any) {
      CHECK(MPI_Type_create_subarray(AXES, array->extent, part.extent, part.start, MPI_ORDER_C,
                                     MPI_C_DOUBLE_COMPLEX, &side.types[peer]));
      CHECK(MPI_Type_commit(&side.types[peer]));
    }
    counts[peer] = side.counts[peer] = any;
    displs[peer] = side.displs[peer] = 0;
  }
  CHECK(MPIX_Layout_create_w(peers, counts, displs, side.types, &side.layout));
  free(counts);
  free(displs);
  return side;
}

static void free_side(Side* side, int peers) {
  for (int peer = 0; peer < peers; ++peer) {
    if (side->counts[peer] > 0) CHECK(MPI_Type_free(&side->types[peer]));
  }
  CHECK(MPIX_Layout_free(&side->layout));
  free(side->counts);
  free(side->displs);
  free(side->types);
}

Transpose make_transpose(MPI_Comm comm, const Box* before, int from, const Box* after, int to) {
  Transpose t;
  t.comm = comm;
  CHECK(MPI_Comm_size(comm, &t.peers));
  t.send = make_side(t.peers, before, to);
  t.recv = make_side(t.peers, after, from);
  CHECK(MPIX_Alltoallv_layout_init(t.send.layout, t.recv.layout, comm, MPI_INFO_NULL, &t.plan));
  return t;
}

void free_transpose(Transpose* t) {
  CHECK(MPIX_Layout_plan_free(&t->plan));
  free_side(&t->send, t->peers);
  free_side(&t->recv, t->peers);
}

void run_transpose(const Transpose* t, int method, const Complex* from, Complex* to) {
  if (method == DATATYPES) {
    CHECK(MPI_Alltoallw(from, t->send.counts, t->send.displs, t->send.types, to, t->recv.counts,
                        t->recv.displs, t->recv.types, t->comm));
    return;
  }
  MPI_Request request;
  CHECK(MPIX_Layout_plan_start(t->plan, from, to, &request));
  CHECK(MPI_Wait(&request, MPI_STATUS_IGNORE));
}
