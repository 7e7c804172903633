/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the Fortran modules need beyond bind(C): handles of MPI are converted here, because only C knows both
 * their forms. Each function is the public one of the same name, with MPI_Fint in place of MPI's handles.
 */
#include <mpix_layout.h>
#include <stdlib.h>

/* mpix_layout_types.F90 states these sizes: MPIX_Layout_stats%size, and the kinds of integers. */
typedef char stats_size_is_that_of_the_module[sizeof(MPIX_Layout_stats) == 240 ? 1 : -1];
typedef char fint_is_c_int[sizeof(MPI_Fint) == sizeof(int) ? 1 : -1];
typedef char count_is_int64[sizeof(MPI_Count) == sizeof(int64_t) ? 1 : -1];

int mpix_layout_f_create_v(int npeers, const MPI_Count counts[], const MPI_Count displs[], MPI_Fint type,
                           MPIX_Layout* layout);
int mpix_layout_f_create_w(int npeers, const MPI_Count counts[], const MPI_Aint displs[],
                           const MPI_Fint types[], MPIX_Layout* layout);
int mpix_layout_f_create_indexed_block(int npeers, const MPI_Count counts[], const MPI_Count indices[],
                                       MPI_Fint block, MPIX_Layout* layout);
int mpix_layout_f_alltoallv(const void* sendbuf, MPIX_Layout sendlayout, void* recvbuf,
                            MPIX_Layout recvlayout, MPI_Fint comm);
int mpix_layout_f_ialltoallv(const void* sendbuf, MPIX_Layout sendlayout, void* recvbuf,
                             MPIX_Layout recvlayout, MPI_Fint comm, MPI_Fint* request);
int mpix_layout_f_alltoallv_init(MPIX_Layout sendlayout, MPIX_Layout recvlayout, MPI_Fint comm, MPI_Fint info,
                                 MPIX_Layout_plan* plan);
int mpix_layout_f_plan_start(MPIX_Layout_plan plan, const void* sendbuf, void* recvbuf, MPI_Fint* request);
int mpix_layout_f_plan_start_on_stream(MPIX_Layout_plan plan, const void* sendbuf, void* recvbuf,
                                       void* cuda_stream, MPI_Fint* request);
int mpix_layout_f_mem_alloc(MPI_Aint size, MPI_Fint info, void** baseptr);
void* mpix_layout_f_in_place(void);
void* mpix_layout_f_bottom(void);

int mpix_layout_f_create_v(int npeers, const MPI_Count counts[], const MPI_Count displs[], MPI_Fint type,
                           MPIX_Layout* layout) {
  return MPIX_Layout_create_v(npeers, counts, displs, MPI_Type_f2c(type), layout);
}

int mpix_layout_f_create_w(int npeers, const MPI_Count counts[], const MPI_Aint displs[],
                           const MPI_Fint types[], MPIX_Layout* layout) {
  if (npeers <= 0) return MPIX_Layout_create_w(npeers, counts, displs, NULL, layout);
  MPI_Datatype* converted = malloc((size_t)npeers * sizeof *converted);
  if (converted == NULL) {
    const int rc = MPI_Comm_call_errhandler(MPI_COMM_SELF, MPI_ERR_NO_MEM);
    return rc != MPI_SUCCESS ? rc : MPI_ERR_NO_MEM;
  }
  for (int peer = 0; peer < npeers; ++peer)
    converted[peer] = counts[peer] == 0 ? MPI_DATATYPE_NULL : MPI_Type_f2c(types[peer]);
  const int rc = MPIX_Layout_create_w(npeers, counts, displs, converted, layout);
  free(converted);
  return rc;
}

int mpix_layout_f_create_indexed_block(int npeers, const MPI_Count counts[], const MPI_Count indices[],
                                       MPI_Fint block, MPIX_Layout* layout) {
  return MPIX_Layout_create_indexed_block(npeers, counts, indices, MPI_Type_f2c(block), layout);
}

int mpix_layout_f_alltoallv(const void* sendbuf, MPIX_Layout sendlayout, void* recvbuf,
                            MPIX_Layout recvlayout, MPI_Fint comm) {
  return MPIX_Alltoallv_layout(sendbuf, sendlayout, recvbuf, recvlayout, MPI_Comm_f2c(comm));
}

int mpix_layout_f_ialltoallv(const void* sendbuf, MPIX_Layout sendlayout, void* recvbuf,
                             MPIX_Layout recvlayout, MPI_Fint comm, MPI_Fint* request) {
  MPI_Request started = MPI_REQUEST_NULL;
  const int rc =
      MPIX_Ialltoallv_layout(sendbuf, sendlayout, recvbuf, recvlayout, MPI_Comm_f2c(comm), &started);
  *request = MPI_Request_c2f(started);
  return rc;
}

int mpix_layout_f_alltoallv_init(MPIX_Layout sendlayout, MPIX_Layout recvlayout, MPI_Fint comm, MPI_Fint info,
                                 MPIX_Layout_plan* plan) {
  return MPIX_Alltoallv_layout_init(sendlayout, recvlayout, MPI_Comm_f2c(comm), MPI_Info_f2c(info), plan);
}

int mpix_layout_f_plan_start(MPIX_Layout_plan plan, const void* sendbuf, void* recvbuf, MPI_Fint* request) {
  MPI_Request started = MPI_REQUEST_NULL;
  const int rc = MPIX_Layout_plan_start(plan, sendbuf, recvbuf, &started);
  *request = MPI_Request_c2f(started);
  return rc;
}

int mpix_layout_f_plan_start_on_stream(MPIX_Layout_plan plan, const void* sendbuf, void* recvbuf,
                                       void* cuda_stream, MPI_Fint* request) {
  MPI_Request started = MPI_REQUEST_NULL;
  const int rc = MPIX_Layout_plan_start_on_stream(plan, sendbuf, recvbuf, cuda_stream, &started);
  *request = MPI_Request_c2f(started);
  return rc;
}

int mpix_layout_f_mem_alloc(MPI_Aint size, MPI_Fint info, void** baseptr) {
  return MPIX_Layout_mem_alloc(size, MPI_Info_f2c(info), (void*)baseptr);
}

void* mpix_layout_f_in_place(void) {
  return MPI_IN_PLACE;
}

void* mpix_layout_f_bottom(void) {
  return MPI_BOTTOM;
}
