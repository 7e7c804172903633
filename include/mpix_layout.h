/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file mpix_layout.h
 * All-to-all exchanges whose send and receive buffers are described by layouts.
 *
 * A layout lists, for one buffer, the blocks that belong to each peer, in order, as byte offsets from the
 * buffer's address. The k-th byte that rank i's send layout lists for rank j lands at the k-th byte that rank
 * j's receive layout lists for rank i; only the totals of the two have to agree, not the shapes of the
 * blocks.
 *
 * Conventions. Sizes and offsets are in bytes unless a comment says otherwise. Every function returns
 * MPI_SUCCESS or an error code; functions with a communicator first call that communicator's error handler,
 * the others that of MPI_COMM_SELF. Arguments are checked before anything is sent. MPI must be initialised.
 * See mpix_layout(7) for concepts and complete examples.
 */
#ifndef MPIX_LAYOUT_H
#define MPIX_LAYOUT_H

#include <mpi.h>
#include <stddef.h>
#include <stdint.h>

#define MPIX_LAYOUT_VERSION_MAJOR 0
#define MPIX_LAYOUT_VERSION_MINOR 1
#define MPIX_LAYOUT_VERSION_PATCH 0

#if defined(__GNUC__)
#define MPIX_LAYOUT_API __attribute__((visibility("default")))
#else
#define MPIX_LAYOUT_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** Handle of an immutable description of one buffer's blocks by peer. */
typedef struct MPIX_Layout_s* MPIX_Layout;
/** Handle of a planned (persistent) exchange on one communicator. */
typedef struct MPIX_Layout_plan_s* MPIX_Layout_plan;

#define MPIX_LAYOUT_NULL ((MPIX_Layout)0)
#define MPIX_LAYOUT_PLAN_NULL ((MPIX_Layout_plan)0)

/**
 * Error classes of this library, made by MPI_Add_error_class at its first use in a process. Compare them with
 * what MPI_Error_class gives; MPI_Error_string names the argument, the ranks, what was expected and found.
 */
#ifdef MPIX_ERR_TIMEOUT /* MPICH 5 has an error class of this name, for timeouts of its own */
#undef MPIX_ERR_TIMEOUT
#endif
extern MPIX_LAYOUT_API int MPIX_ERR_LAYOUT;   /**< invalid, freed or unsuitable layout or plan */
extern MPIX_LAYOUT_API int MPIX_ERR_MISMATCH; /**< two ranks disagree on the bytes that go between them */
extern MPIX_LAYOUT_API int MPIX_ERR_PEER;     /**< a peer is gone or cannot be reached */
extern MPIX_LAYOUT_API int MPIX_ERR_TIMEOUT;  /**< no progress for MPIX_LAYOUT_TIMEOUT seconds */

/* ---- Layouts: local calls ----------------------------------------------------------------------------- */

/**
 * Layout in the terms of MPI_Alltoallv (MPI 4.0, section 6.8).
 * @param npeers  number of peers: the size of every communicator that the layout will be used with
 * @param counts  [npeers] elements of @p type for each peer, >= 0
 * @param displs  [npeers] where each peer's elements start, in units of the extent of @p type
 * @param type    committed datatype; may be freed as soon as the call returns
 * @param layout  [out] the new layout, to be freed with MPIX_Layout_free
 * @return MPI_SUCCESS, or an error of class MPI_ERR_ARG, MPI_ERR_COUNT, MPI_ERR_TYPE or MPI_ERR_NO_MEM
 */
MPIX_LAYOUT_API int MPIX_Layout_create_v(int npeers, const MPI_Count counts[], const MPI_Count displs[],
                                         MPI_Datatype type, MPIX_Layout* layout);

/**
 * Layout in the terms of MPI_Alltoallw (MPI 4.0, section 6.8).
 * @param counts  [npeers] elements of types[p] for peer p, >= 0
 * @param displs  [npeers] where each peer's elements start, in bytes
 * @param types   [npeers] committed datatypes, not looked at where the count is 0; may be freed on return
 * The other parameters and the errors are those of MPIX_Layout_create_v.
 */
MPIX_LAYOUT_API int MPIX_Layout_create_w(int npeers, const MPI_Count counts[], const MPI_Aint displs[],
                                         const MPI_Datatype types[], MPIX_Layout* layout);

/**
 * Layout of equal blocks named by index: rows of a matrix, particles, tokens.
 * @param counts   [npeers] number of blocks for each peer, >= 0
 * @param indices  [sum of counts] peer 0's indices first, then peer 1's and so on; index k names the block
 * that starts at k * extent(block). An index may occur more than once in a layout that is sent from. They may
 * lie in memory of a GPU and have to be there when the call is made; of blocks of 64 contiguous bytes or more
 * the list stays there, and the host copies it where an exchange needs it on the host.
 * @param block    committed datatype of one block; may be freed as soon as the call returns
 * The other parameters and the errors are those of MPIX_Layout_create_v.
 */
MPIX_LAYOUT_API int MPIX_Layout_create_indexed_block(int npeers, const MPI_Count counts[],
                                                     const MPI_Count indices[], MPI_Datatype block,
                                                     MPIX_Layout* layout);

/**
 * Layout of segments of any size.
 * @param counts   [npeers] number of segments for each peer, >= 0
 * @param lengths  [sum of counts] bytes of each segment, >= 0, peer 0's first
 * @param displs   [sum of counts] byte offset of each segment, in the same order
 * The other parameters and the errors are those of MPIX_Layout_create_v.
 */
MPIX_LAYOUT_API int MPIX_Layout_create_hindexed(int npeers, const MPI_Count counts[],
                                                const MPI_Count lengths[], const MPI_Aint displs[],
                                                MPIX_Layout* layout);

/**
 * Gives up a layout and sets the handle to MPIX_LAYOUT_NULL. Plans and exchanges that use it keep what they
 * need. Errors: MPIX_ERR_LAYOUT.
 */
MPIX_LAYOUT_API int MPIX_Layout_free(MPIX_Layout* layout);

/** Bytes that @p layout lists for @p peer (0 <= peer < npeers). Errors: MPIX_ERR_LAYOUT, MPI_ERR_ARG. */
MPIX_LAYOUT_API int MPIX_Layout_get_size(MPIX_Layout layout, int peer, MPI_Count* bytes);

/**
 * Lowest byte offset that @p layout touches, and the distance from there to the end of its highest byte; both
 * are 0 for a layout without bytes. Errors: MPIX_ERR_LAYOUT, MPI_ERR_ARG.
 */
MPIX_LAYOUT_API int MPIX_Layout_get_true_extent(MPIX_Layout layout, MPI_Aint* true_lb, MPI_Aint* true_extent);

/* ---- The exchange: collective over an intracommunicator ------------------------------------------------ */
/* Buffers may be memory of the host or, in builds with CUDA, of a GPU; see mpix_layout(7). */

/**
 * Blocking exchange. Collective; a communicator's first exchange or plan synchronises its ranks, as
 * MPI_Comm_dup does. Several exchanges on one communicator must be started in the same order on every rank.
 * @param sendbuf     address that the send layout's offsets refer to, or MPI_IN_PLACE: the data is then taken
 *                    from and replaced in @p recvbuf by @p recvlayout, and @p sendlayout is not looked at
 * @param sendlayout  what goes to each rank of @p comm
 * @param recvbuf     address that the receive layout's offsets refer to; must not overlap what is sent
 * @param recvlayout  what comes from each rank of @p comm; its blocks must not overlap
 * @return MPI_SUCCESS, or an error of class MPIX_ERR_LAYOUT, MPIX_ERR_MISMATCH, MPIX_ERR_PEER,
 *         MPIX_ERR_TIMEOUT, MPI_ERR_COMM (intercommunicators included), MPI_ERR_BUFFER or MPI_ERR_NO_MEM
 */
MPIX_LAYOUT_API int MPIX_Alltoallv_layout(const void* sendbuf, MPIX_Layout sendlayout, void* recvbuf,
                                          MPIX_Layout recvlayout, MPI_Comm comm);

/**
 * Nonblocking exchange: as MPIX_Alltoallv_layout, completed by any of MPI_Wait* and MPI_Test* on @p request,
 * whose status carries errors found after the start. Layouts may be freed at once, buffers not until then.
 */
MPIX_LAYOUT_API int MPIX_Ialltoallv_layout(const void* sendbuf, MPIX_Layout sendlayout, void* recvbuf,
                                           MPIX_Layout recvlayout, MPI_Comm comm, MPI_Request* request);

/**
 * Plans an exchange once, to be started often and on any buffers. Collective and blocking; sizes are compared
 * between all ranks here. Layouts may be freed on return.
 * @param info  MPI_INFO_NULL, or hints of the names that mpix_layout(7) lists, which override the environment
 * @param plan  [out] the new plan, to be freed with MPIX_Layout_plan_free
 */
MPIX_LAYOUT_API int MPIX_Alltoallv_layout_init(MPIX_Layout sendlayout, MPIX_Layout recvlayout, MPI_Comm comm,
                                               MPI_Info info, MPIX_Layout_plan* plan);

/**
 * Starts a planned exchange; collective in the sense of MPIX_Ialltoallv_layout, and completed like it. A plan
 * may be started again before an earlier start has completed if the receive buffers differ.
 */
MPIX_LAYOUT_API int MPIX_Layout_plan_start(MPIX_Layout_plan plan, const void* sendbuf, void* recvbuf,
                                           MPI_Request* request);

/**
 * As MPIX_Layout_plan_start, in the order of a CUDA stream: the exchange begins once the stream has come to
 * this call, and work that is given to the stream afterwards waits until the exchange is complete on this
 * rank. Call it on any rank, beside MPIX_Layout_plan_start on others. It returns at once; @p request is to be
 * completed all the same.
 * @param cuda_stream  a cudaStream_t or CUstream; null is the default stream of the current context
 * Further errors: MPI_ERR_ARG where there is no CUDA, or the stream cannot be used.
 */
MPIX_LAYOUT_API int MPIX_Layout_plan_start_on_stream(MPIX_Layout_plan plan, const void* sendbuf,
                                                     void* recvbuf, void* cuda_stream, MPI_Request* request);

/** Gives up a plan; local. Started exchanges go on to their end. Sets the handle to MPIX_LAYOUT_PLAN_NULL. */
MPIX_LAYOUT_API int MPIX_Layout_plan_free(MPIX_Layout_plan* plan);

/** What a plan will do, and what its exchanges did on this rank so far. All byte figures are of this rank. */
typedef struct MPIX_Layout_stats {
  size_t size;              /**< set by the caller to sizeof(MPIX_Layout_stats) */
  int64_t starts;           /**< exchanges started */
  int64_t completions;      /**< exchanges completed */
  int64_t send_peers;       /**< ranks that an exchange sends to, this one included */
  int64_t recv_peers;       /**< ranks that an exchange receives from, this one included */
  int64_t send_bytes;       /**< bytes that an exchange sends */
  int64_t recv_bytes;       /**< bytes that an exchange receives */
  int64_t send_blocks;      /**< contiguous runs in the send layout */
  int64_t recv_blocks;      /**< contiguous runs in the receive layout */
  int64_t plan_bytes;       /**< memory that the plan and its layouts take */
  double plan_seconds;      /**< time spent in MPIX_Alltoallv_layout_init */
  int64_t self_bytes;       /**< sent so far to this rank itself */
  int64_t shm_inline_bytes; /**< sent so far in the line that announces a message, on this node */
  int64_t shm_ring_bytes;   /**< sent so far through shared chunks, on this node */
  int64_t shm_mapped_bytes; /**< sent so far straight from mapped memory, on this node */
  int64_t shm_attach_bytes; /**< sent so far by cross-memory attach, on this node */
  int64_t net_bytes;        /**< sent so far to other nodes */
  int64_t chunks;           /**< chunks sent so far */
  int64_t
      net_saved_bytes; /**< not sent so far to other nodes because several blocks there got them at once */
  int64_t forwarded_nodes;     /**< nodes to which an exchange sends through forwarders */
  int64_t net_given_bytes;     /**< of net_bytes: what idle ranks of this node sent in this rank's place */
  int64_t net_helped_bytes;    /**< sent so far to other nodes in the place of other ranks of this node */
  int64_t net_forwarded_bytes; /**< that came so far from other nodes for ranks of this one, forwarded by
                                    this rank */
  int64_t gpu_plan_bytes;      /**< memory of GPUs that the plan's lists take */
  int64_t gpu_launches;        /**< kernels that this rank has started while exchanges of the plan ran */
  int64_t gpu_imported_bytes;  /**< sent so far straight from the memory of this rank's GPU, on this node */
  int64_t gpu_bounced_bytes;   /**< copied once more on the host, because no GPU reaches where they lie */
  int64_t aggregated_nodes;    /**< of forwarded_nodes: those to which all messages go as one */
  int64_t net_messages;   /**< messages sent so far to other nodes, those that only announce others included;
                             not those of idle ranks in this rank's place */
  int64_t net_list_bytes; /**< of lists of places in these messages: forwarders keep them for later starts */
} MPIX_Layout_stats;

/**
 * Reads a plan's statistics; local. The caller sets stats->size first; fields beyond that size are left
 * alone, so that programs go on working with a later library. Errors: MPIX_ERR_LAYOUT, MPI_ERR_ARG.
 */
MPIX_LAYOUT_API int MPIX_Layout_plan_get_stats(MPIX_Layout_plan plan, MPIX_Layout_stats* stats);

/* ---- Memory and version: local calls ------------------------------------------------------------------- */

/**
 * Allocates memory that the other ranks of the node can map, so that an exchange from it needs one copy and
 * no staging. As MPI_Alloc_mem: @p baseptr is the address of a pointer.
 * @param size  bytes, >= 0; the memory is zeroed and aligned to at least 64 bytes
 * @param info  MPI_INFO_NULL or hints; "mpi_minimum_memory_alignment" is honoured
 * @return MPI_SUCCESS, or an error of class MPI_ERR_ARG or MPI_ERR_NO_MEM
 */
MPIX_LAYOUT_API int MPIX_Layout_mem_alloc(MPI_Aint size, MPI_Info info, void* baseptr);

/** Frees what MPIX_Layout_mem_alloc gave; no exchange may use it any more. Errors: MPI_ERR_ARG. */
MPIX_LAYOUT_API int MPIX_Layout_mem_free(void* base);

/** Version of the library that is linked, to compare with MPIX_LAYOUT_VERSION_*. Works before MPI_Init. */
MPIX_LAYOUT_API int MPIX_Layout_get_version(int* major, int* minor, int* patch);

#ifdef __cplusplus
}
#endif

#endif /* MPIX_LAYOUT_H */
