! SPDX-License-Identifier: BSD-3-Clause
!
! MPIX_Alltoallv_layout and its companions for programs that use mpi_f08. Names, arguments and meaning are
! those of mpix_layout.h, with an optional ierror at the end; see mpix_layout(7), section FORTRAN.
!
! Indices, displacements and peers count from 0, as in C. Offsets of a layout refer to the address of the
! first element of the actual argument; the strides of an array section are not followed.

module mpix_layout_f08
  use, intrinsic :: iso_c_binding, only: c_associated, c_int, c_loc, c_ptr
  use mpi_f08, only: MPI_ADDRESS_KIND, MPI_BOTTOM, MPI_Comm, MPI_COUNT_KIND, MPI_Datatype, MPI_IN_PLACE, &
                     MPI_Info, MPI_Request
  use mpix_layout_types
  implicit none
  private

  public :: MPIX_Layout, MPIX_Layout_plan, MPIX_Layout_stats, MPIX_LAYOUT_NULL, MPIX_LAYOUT_PLAN_NULL
  public :: operator(==), operator(/=)
  public :: MPIX_ERR_LAYOUT, MPIX_ERR_MISMATCH, MPIX_ERR_PEER, MPIX_ERR_TIMEOUT
  public :: MPIX_LAYOUT_VERSION_MAJOR, MPIX_LAYOUT_VERSION_MINOR, MPIX_LAYOUT_VERSION_PATCH
  public :: MPIX_Layout_create_v, MPIX_Layout_create_w, MPIX_Layout_create_indexed_block, &
            MPIX_Layout_create_hindexed, MPIX_Layout_free, MPIX_Layout_get_size, &
            MPIX_Layout_get_true_extent, MPIX_Alltoallv_layout, MPIX_Ialltoallv_layout, &
            MPIX_Alltoallv_layout_init, MPIX_Layout_plan_start, &
            MPIX_Layout_plan_start_on_stream, MPIX_Layout_plan_free, &
            MPIX_Layout_plan_get_stats, MPIX_Layout_mem_alloc, MPIX_Layout_mem_free, &
            MPIX_Layout_get_version

contains

  subroutine MPIX_Layout_create_v(npeers, counts, displs, type, layout, ierror)
    integer, intent(in) :: npeers
    integer(MPI_COUNT_KIND), intent(in) :: counts(*), displs(*)
    type(MPI_Datatype), intent(in) :: type
    type(MPIX_Layout), intent(inout) :: layout
    integer, optional, intent(out) :: ierror
    call give(c_create_v(npeers, counts, displs, type%MPI_VAL, layout), ierror)
  end subroutine MPIX_Layout_create_v

  subroutine MPIX_Layout_create_w(npeers, counts, displs, types, layout, ierror)
    integer, intent(in) :: npeers
    integer(MPI_COUNT_KIND), intent(in) :: counts(*)
    integer(MPI_ADDRESS_KIND), intent(in) :: displs(*)
    type(MPI_Datatype), intent(in) :: types(*)
    type(MPIX_Layout), intent(inout) :: layout
    integer, optional, intent(out) :: ierror
    call give(c_create_w(npeers, counts, displs, types(1:max(npeers, 0))%MPI_VAL, layout), ierror)
  end subroutine MPIX_Layout_create_w

  subroutine MPIX_Layout_create_indexed_block(npeers, counts, indices, block, layout, ierror)
    integer, intent(in) :: npeers
    integer(MPI_COUNT_KIND), intent(in) :: counts(*), indices(*)
    type(MPI_Datatype), intent(in) :: block
    type(MPIX_Layout), intent(inout) :: layout
    integer, optional, intent(out) :: ierror
    call give(c_create_indexed_block(npeers, counts, indices, block%MPI_VAL, layout), ierror)
  end subroutine MPIX_Layout_create_indexed_block

  subroutine MPIX_Layout_create_hindexed(npeers, counts, lengths, displs, layout, ierror)
    integer, intent(in) :: npeers
    integer(MPI_COUNT_KIND), intent(in) :: counts(*), lengths(*)
    integer(MPI_ADDRESS_KIND), intent(in) :: displs(*)
    type(MPIX_Layout), intent(inout) :: layout
    integer, optional, intent(out) :: ierror
    call give(c_create_hindexed(npeers, counts, lengths, displs, layout), ierror)
  end subroutine MPIX_Layout_create_hindexed

  subroutine MPIX_Layout_free(layout, ierror)
    type(MPIX_Layout), intent(inout) :: layout
    integer, optional, intent(out) :: ierror
    call give(c_free(layout), ierror)
  end subroutine MPIX_Layout_free

  subroutine MPIX_Layout_get_size(layout, peer, bytes, ierror)
    type(MPIX_Layout), intent(in) :: layout
    integer, intent(in) :: peer
    integer(MPI_COUNT_KIND), intent(inout) :: bytes
    integer, optional, intent(out) :: ierror
    call give(c_get_size(layout, peer, bytes), ierror)
  end subroutine MPIX_Layout_get_size

  subroutine MPIX_Layout_get_true_extent(layout, true_lb, true_extent, ierror)
    type(MPIX_Layout), intent(in) :: layout
    integer(MPI_ADDRESS_KIND), intent(inout) :: true_lb, true_extent
    integer, optional, intent(out) :: ierror
    call give(c_get_true_extent(layout, true_lb, true_extent), ierror)
  end subroutine MPIX_Layout_get_true_extent

  subroutine MPIX_Alltoallv_layout(sendbuf, sendlayout, recvbuf, recvlayout, comm, ierror)
    type(*), dimension(..), intent(in), target :: sendbuf
    type(MPIX_Layout), intent(in) :: sendlayout
    type(*), dimension(..), target :: recvbuf
    type(MPIX_Layout), intent(in) :: recvlayout
    type(MPI_Comm), intent(in) :: comm
    integer, optional, intent(out) :: ierror
    call give(c_alltoallv(buffer(sendbuf), sendlayout, buffer(recvbuf), recvlayout, comm%MPI_VAL), ierror)
  end subroutine MPIX_Alltoallv_layout

  subroutine MPIX_Ialltoallv_layout(sendbuf, sendlayout, recvbuf, recvlayout, comm, request, ierror)
    type(*), dimension(..), intent(in), asynchronous, target :: sendbuf
    type(MPIX_Layout), intent(in) :: sendlayout
    type(*), dimension(..), asynchronous, target :: recvbuf
    type(MPIX_Layout), intent(in) :: recvlayout
    type(MPI_Comm), intent(in) :: comm
    type(MPI_Request), intent(out) :: request
    integer, optional, intent(out) :: ierror
    call give(c_ialltoallv(buffer(sendbuf), sendlayout, buffer(recvbuf), recvlayout, comm%MPI_VAL, &
                           request%MPI_VAL), ierror)
  end subroutine MPIX_Ialltoallv_layout

  subroutine MPIX_Alltoallv_layout_init(sendlayout, recvlayout, comm, info, plan, ierror)
    type(MPIX_Layout), intent(in) :: sendlayout, recvlayout
    type(MPI_Comm), intent(in) :: comm
    type(MPI_Info), intent(in) :: info
    type(MPIX_Layout_plan), intent(inout) :: plan
    integer, optional, intent(out) :: ierror
    call give(c_alltoallv_init(sendlayout, recvlayout, comm%MPI_VAL, info%MPI_VAL, plan), ierror)
  end subroutine MPIX_Alltoallv_layout_init

  subroutine MPIX_Layout_plan_start(plan, sendbuf, recvbuf, request, ierror)
    type(MPIX_Layout_plan), intent(in) :: plan
    type(*), dimension(..), intent(in), asynchronous, target :: sendbuf
    type(*), dimension(..), asynchronous, target :: recvbuf
    type(MPI_Request), intent(out) :: request
    integer, optional, intent(out) :: ierror
    call give(c_plan_start(plan, buffer(sendbuf), buffer(recvbuf), request%MPI_VAL), ierror)
  end subroutine MPIX_Layout_plan_start

  ! cuda_stream: a cudaStream_t, as type(c_ptr)
  subroutine MPIX_Layout_plan_start_on_stream(plan, sendbuf, recvbuf, cuda_stream, request, ierror)
    type(MPIX_Layout_plan), intent(in) :: plan
    type(*), dimension(..), intent(in), asynchronous, target :: sendbuf
    type(*), dimension(..), asynchronous, target :: recvbuf
    type(c_ptr), intent(in) :: cuda_stream
    type(MPI_Request), intent(out) :: request
    integer, optional, intent(out) :: ierror
    call give(c_plan_start_on_stream(plan, buffer(sendbuf), buffer(recvbuf), cuda_stream, request%MPI_VAL), &
              ierror)
  end subroutine MPIX_Layout_plan_start_on_stream

  subroutine MPIX_Layout_plan_free(plan, ierror)
    type(MPIX_Layout_plan), intent(inout) :: plan
    integer, optional, intent(out) :: ierror
    call give(c_plan_free(plan), ierror)
  end subroutine MPIX_Layout_plan_free

  subroutine MPIX_Layout_plan_get_stats(plan, stats, ierror)
    type(MPIX_Layout_plan), intent(in) :: plan
    type(MPIX_Layout_stats), intent(inout) :: stats
    integer, optional, intent(out) :: ierror
    call give(c_plan_get_stats(plan, stats), ierror)
  end subroutine MPIX_Layout_plan_get_stats

  subroutine MPIX_Layout_mem_alloc(size, info, baseptr, ierror)
    integer(MPI_ADDRESS_KIND), intent(in) :: size
    type(MPI_Info), intent(in) :: info
    type(c_ptr), intent(inout) :: baseptr
    integer, optional, intent(out) :: ierror
    call give(c_mem_alloc(size, info%MPI_VAL, baseptr), ierror)
  end subroutine MPIX_Layout_mem_alloc

  ! base: what MPIX_Layout_mem_alloc gave.
  subroutine MPIX_Layout_mem_free(base, ierror)
    type(c_ptr), intent(in) :: base
    integer, optional, intent(out) :: ierror
    call give(c_mem_free(base), ierror)
  end subroutine MPIX_Layout_mem_free

  subroutine MPIX_Layout_get_version(major, minor, patch, ierror)
    integer, intent(out) :: major, minor, patch
    integer, optional, intent(out) :: ierror
    call give(c_get_version(major, minor, patch), ierror)
  end subroutine MPIX_Layout_get_version

  subroutine give(code, ierror)
    integer(c_int), intent(in) :: code
    integer, optional, intent(out) :: ierror
    if (present(ierror)) ierror = code
  end subroutine give

  ! The C address of a choice buffer. MPI_IN_PLACE and MPI_BOTTOM are variables of MPI's Fortran library,
  ! known by their addresses; C has other values for both.
  function buffer(choice) result(where)
    type(*), dimension(..), intent(in), target :: choice
    type(c_ptr) :: where
    where = c_loc(choice)
    if (c_associated(where, address(MPI_IN_PLACE))) then
      where = c_in_place()
    else if (c_associated(where, address(MPI_BOTTOM))) then
      where = c_bottom()
    end if
  end function buffer

  function address(choice) result(where)
    type(*), dimension(..), intent(in), target :: choice
    type(c_ptr) :: where
    where = c_loc(choice)
  end function address

end module mpix_layout_f08
