! SPDX-License-Identifier: BSD-3-Clause
!
! What mpix_layout_f08 and mpix_layout_f90 have in common: handles, statistics, error classes, and the
! interfaces of the C functions behind both. Programs use one of those two modules, not this one.

module mpix_layout_types
  use, intrinsic :: iso_c_binding, only: c_associated, c_double, c_int, c_int64_t, c_intptr_t, &
                                         c_null_ptr, c_ptr, c_size_t
  implicit none
  private

  integer, parameter, public :: MPIX_LAYOUT_VERSION_MAJOR = 0
  integer, parameter, public :: MPIX_LAYOUT_VERSION_MINOR = 1
  integer, parameter, public :: MPIX_LAYOUT_VERSION_PATCH = 0

  ! Kinds of MPI_Count and MPI_Aint. MPI_COUNT_KIND and MPI_ADDRESS_KIND have the same values, but come from a
  ! module of MPI, of which this one uses none. Handles of MPI are of the kind of MPI_Fint: c_int.
  integer, parameter, public :: count_kind = c_int64_t
  integer, parameter, public :: aint_kind = c_intptr_t

  ! Handle of a layout; a copy refers to the same layout.
  type, bind(C), public :: MPIX_Layout
    type(c_ptr) :: handle = c_null_ptr
  end type MPIX_Layout

  ! Handle of a planned exchange; a copy refers to the same plan.
  type, bind(C), public :: MPIX_Layout_plan
    type(c_ptr) :: handle = c_null_ptr
  end type MPIX_Layout_plan

  type(MPIX_Layout), parameter, public :: MPIX_LAYOUT_NULL = MPIX_Layout(c_null_ptr)
  type(MPIX_Layout_plan), parameter, public :: MPIX_LAYOUT_PLAN_NULL = MPIX_Layout_plan(c_null_ptr)

  ! Statistics of a plan, as in the C header. Leave size as it is.
  type, bind(C), public :: MPIX_Layout_stats
    integer(c_size_t) :: size = 240
    integer(c_int64_t) :: starts = 0
    integer(c_int64_t) :: completions = 0
    integer(c_int64_t) :: send_peers = 0
    integer(c_int64_t) :: recv_peers = 0
    integer(c_int64_t) :: send_bytes = 0
    integer(c_int64_t) :: recv_bytes = 0
    integer(c_int64_t) :: send_blocks = 0
    integer(c_int64_t) :: recv_blocks = 0
    integer(c_int64_t) :: plan_bytes = 0
    real(c_double) :: plan_seconds = 0
    integer(c_int64_t) :: self_bytes = 0
    integer(c_int64_t) :: shm_inline_bytes = 0
    integer(c_int64_t) :: shm_ring_bytes = 0
    integer(c_int64_t) :: shm_mapped_bytes = 0
    integer(c_int64_t) :: shm_attach_bytes = 0
    integer(c_int64_t) :: net_bytes = 0
    integer(c_int64_t) :: chunks = 0
    integer(c_int64_t) :: net_saved_bytes = 0
    integer(c_int64_t) :: forwarded_nodes = 0
    integer(c_int64_t) :: net_given_bytes = 0
    integer(c_int64_t) :: net_helped_bytes = 0
    integer(c_int64_t) :: net_forwarded_bytes = 0
    integer(c_int64_t) :: gpu_plan_bytes = 0
    integer(c_int64_t) :: gpu_launches = 0
    integer(c_int64_t) :: gpu_imported_bytes = 0
    integer(c_int64_t) :: gpu_bounced_bytes = 0
    integer(c_int64_t) :: aggregated_nodes = 0
    integer(c_int64_t) :: net_messages = 0
    integer(c_int64_t) :: net_list_bytes = 0
  end type MPIX_Layout_stats

  ! Error classes: the C library's variables of the same names, set at its first use in a process.
  integer(c_int), protected, public, bind(C, name="MPIX_ERR_LAYOUT") :: MPIX_ERR_LAYOUT
  integer(c_int), protected, public, bind(C, name="MPIX_ERR_MISMATCH") :: MPIX_ERR_MISMATCH
  integer(c_int), protected, public, bind(C, name="MPIX_ERR_PEER") :: MPIX_ERR_PEER
  integer(c_int), protected, public, bind(C, name="MPIX_ERR_TIMEOUT") :: MPIX_ERR_TIMEOUT

  interface operator(==)
    module procedure layout_eq, plan_eq
  end interface
  interface operator(/=)
    module procedure layout_ne, plan_ne
  end interface
  public :: operator(==), operator(/=)

  interface
    function c_create_v(npeers, counts, displs, type, layout) bind(C, name="mpix_layout_f_create_v")
      import :: c_int, count_kind, MPIX_Layout
      integer(c_int), value :: npeers
      integer(count_kind), intent(in) :: counts(*), displs(*)
      integer(c_int), value :: type
      type(MPIX_Layout), intent(inout) :: layout
      integer(c_int) :: c_create_v
    end function c_create_v

    function c_create_w(npeers, counts, displs, types, layout) bind(C, name="mpix_layout_f_create_w")
      import :: aint_kind, c_int, count_kind, MPIX_Layout
      integer(c_int), value :: npeers
      integer(count_kind), intent(in) :: counts(*)
      integer(aint_kind), intent(in) :: displs(*)
      integer(c_int), intent(in) :: types(*)
      type(MPIX_Layout), intent(inout) :: layout
      integer(c_int) :: c_create_w
    end function c_create_w

    function c_create_indexed_block(npeers, counts, indices, block, layout) &
        bind(C, name="mpix_layout_f_create_indexed_block")
      import :: c_int, count_kind, MPIX_Layout
      integer(c_int), value :: npeers
      integer(count_kind), intent(in) :: counts(*), indices(*)
      integer(c_int), value :: block
      type(MPIX_Layout), intent(inout) :: layout
      integer(c_int) :: c_create_indexed_block
    end function c_create_indexed_block

    function c_create_hindexed(npeers, counts, lengths, displs, layout) &
        bind(C, name="MPIX_Layout_create_hindexed")
      import :: aint_kind, c_int, count_kind, MPIX_Layout
      integer(c_int), value :: npeers
      integer(count_kind), intent(in) :: counts(*), lengths(*)
      integer(aint_kind), intent(in) :: displs(*)
      type(MPIX_Layout), intent(inout) :: layout
      integer(c_int) :: c_create_hindexed
    end function c_create_hindexed

    function c_free(layout) bind(C, name="MPIX_Layout_free")
      import :: c_int, MPIX_Layout
      type(MPIX_Layout), intent(inout) :: layout
      integer(c_int) :: c_free
    end function c_free

    function c_get_size(layout, peer, bytes) bind(C, name="MPIX_Layout_get_size")
      import :: c_int, count_kind, MPIX_Layout
      type(MPIX_Layout), value :: layout
      integer(c_int), value :: peer
      integer(count_kind), intent(inout) :: bytes
      integer(c_int) :: c_get_size
    end function c_get_size

    function c_get_true_extent(layout, true_lb, true_extent) bind(C, name="MPIX_Layout_get_true_extent")
      import :: aint_kind, c_int, MPIX_Layout
      type(MPIX_Layout), value :: layout
      integer(aint_kind), intent(inout) :: true_lb, true_extent
      integer(c_int) :: c_get_true_extent
    end function c_get_true_extent

    function c_alltoallv(sendbuf, sendlayout, recvbuf, recvlayout, comm) &
        bind(C, name="mpix_layout_f_alltoallv")
      import :: c_int, c_ptr, MPIX_Layout
      type(c_ptr), value :: sendbuf, recvbuf
      type(MPIX_Layout), value :: sendlayout, recvlayout
      integer(c_int), value :: comm
      integer(c_int) :: c_alltoallv
    end function c_alltoallv

    function c_ialltoallv(sendbuf, sendlayout, recvbuf, recvlayout, comm, request) &
        bind(C, name="mpix_layout_f_ialltoallv")
      import :: c_int, c_ptr, MPIX_Layout
      type(c_ptr), value :: sendbuf, recvbuf
      type(MPIX_Layout), value :: sendlayout, recvlayout
      integer(c_int), value :: comm
      integer(c_int), intent(out) :: request
      integer(c_int) :: c_ialltoallv
    end function c_ialltoallv

    function c_alltoallv_init(sendlayout, recvlayout, comm, info, plan) &
        bind(C, name="mpix_layout_f_alltoallv_init")
      import :: c_int, MPIX_Layout, MPIX_Layout_plan
      type(MPIX_Layout), value :: sendlayout, recvlayout
      integer(c_int), value :: comm, info
      type(MPIX_Layout_plan), intent(inout) :: plan
      integer(c_int) :: c_alltoallv_init
    end function c_alltoallv_init

    function c_plan_start(plan, sendbuf, recvbuf, request) bind(C, name="mpix_layout_f_plan_start")
      import :: c_int, c_ptr, MPIX_Layout_plan
      type(MPIX_Layout_plan), value :: plan
      type(c_ptr), value :: sendbuf, recvbuf
      integer(c_int), intent(out) :: request
      integer(c_int) :: c_plan_start
    end function c_plan_start

    function c_plan_start_on_stream(plan, sendbuf, recvbuf, cuda_stream, request) &
        bind(C, name="mpix_layout_f_plan_start_on_stream")
      import :: c_int, c_ptr, MPIX_Layout_plan
      type(MPIX_Layout_plan), value :: plan
      type(c_ptr), value :: sendbuf, recvbuf, cuda_stream
      integer(c_int), intent(out) :: request
      integer(c_int) :: c_plan_start_on_stream
    end function c_plan_start_on_stream

    function c_plan_free(plan) bind(C, name="MPIX_Layout_plan_free")
      import :: c_int, MPIX_Layout_plan
      type(MPIX_Layout_plan), intent(inout) :: plan
      integer(c_int) :: c_plan_free
    end function c_plan_free

    function c_plan_get_stats(plan, stats) bind(C, name="MPIX_Layout_plan_get_stats")
      import :: c_int, MPIX_Layout_plan, MPIX_Layout_stats
      type(MPIX_Layout_plan), value :: plan
      type(MPIX_Layout_stats), intent(inout) :: stats
      integer(c_int) :: c_plan_get_stats
    end function c_plan_get_stats

    function c_mem_alloc(size, info, baseptr) bind(C, name="mpix_layout_f_mem_alloc")
      import :: aint_kind, c_int, c_ptr
      integer(aint_kind), value :: size
      integer(c_int), value :: info
      type(c_ptr), intent(inout) :: baseptr
      integer(c_int) :: c_mem_alloc
    end function c_mem_alloc

    function c_mem_free(base) bind(C, name="MPIX_Layout_mem_free")
      import :: c_int, c_ptr
      type(c_ptr), value :: base
      integer(c_int) :: c_mem_free
    end function c_mem_free

    function c_get_version(major, minor, patch) bind(C, name="MPIX_Layout_get_version")
      import :: c_int
      integer(c_int), intent(out) :: major, minor, patch
      integer(c_int) :: c_get_version
    end function c_get_version

    function c_in_place() bind(C, name="mpix_layout_f_in_place")
      import :: c_ptr
      type(c_ptr) :: c_in_place
    end function c_in_place

    function c_bottom() bind(C, name="mpix_layout_f_bottom")
      import :: c_ptr
      type(c_ptr) :: c_bottom
    end function c_bottom
  end interface

  public :: c_create_v, c_create_w, c_create_indexed_block, c_create_hindexed, c_free, c_get_size, &
            c_get_true_extent, c_alltoallv, c_ialltoallv, c_alltoallv_init, c_plan_start, c_plan_start_on_stream, &
            c_plan_free, &
            c_plan_get_stats, c_mem_alloc, c_mem_free, c_get_version, c_in_place, c_bottom

contains

  elemental impure function layout_eq(a, b) result(same)
    type(MPIX_Layout), intent(in) :: a, b
    logical :: same
    same = same_address(a%handle, b%handle)
  end function layout_eq

  elemental impure function layout_ne(a, b) result(differ)
    type(MPIX_Layout), intent(in) :: a, b
    logical :: differ
    differ = .not. same_address(a%handle, b%handle)
  end function layout_ne

  elemental impure function plan_eq(a, b) result(same)
    type(MPIX_Layout_plan), intent(in) :: a, b
    logical :: same
    same = same_address(a%handle, b%handle)
  end function plan_eq

  elemental impure function plan_ne(a, b) result(differ)
    type(MPIX_Layout_plan), intent(in) :: a, b
    logical :: differ
    differ = .not. same_address(a%handle, b%handle)
  end function plan_ne

  ! c_associated(a, b) is false where both are null.
  elemental impure function same_address(a, b) result(same)
    type(c_ptr), intent(in) :: a, b
    logical :: same
    if (c_associated(a)) then
      same = c_associated(a, b)
    else
      same = .not. c_associated(b)
    end if
  end function same_address

end module mpix_layout_types
