! SPDX-License-Identifier: BSD-3-Clause
!
! Every procedure of mpix_layout_f08, at any number of ranks; each element that is received is compared.
program test_f08
  use, intrinsic :: iso_c_binding
  use mpi_f08
  use mpix_layout_f08
  implicit none
  integer, parameter :: rows = 5
  integer :: rank, ranks, failures, total

  failures = 0
  call MPI_Init()
  call MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN)
  call MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN)
  call MPI_Comm_rank(MPI_COMM_WORLD, rank)
  call MPI_Comm_size(MPI_COMM_WORLD, ranks)

  call test_version()
  call test_handles()
  call test_v_to_w()
  call test_indexed_block()
  call test_in_place()
  call test_bottom()
  call test_section()
  call test_requests()
  call test_plan()
  call test_plan_on_stream()
  call test_mem_alloc()
  call test_errors()
  call test_mismatch()

  call MPI_Allreduce(failures, total, 1, MPI_INTEGER, MPI_SUM, MPI_COMM_WORLD)
  if (rank == 0) print '(a,i0,a)', 'test_f08: ', total, ' failures'
  call MPI_Finalize()
  if (total > 0) error stop 1

contains

  subroutine check(holds, what)
    logical, intent(in) :: holds
    character(*), intent(in) :: what
    if (holds) return
    failures = failures + 1
    print '(a,i0,2a)', 'rank ', rank, ': failed: ', what
  end subroutine check

  ! What rank `from` sends to rank `to` as its element k, k = 1, 2, ...
  elemental integer function sent(from, to, k)
    integer, intent(in) :: from, to, k
    sent = 1000000 * (from + 1) + 1000 * to + k
  end function sent

  integer function class_of(code) result(class)
    integer, intent(in) :: code
    class = MPI_SUCCESS
    if (code /= MPI_SUCCESS) call MPI_Error_class(code, class)
  end function class_of

  ! peer p takes elements p * rows + 1 ... (p + 1) * rows of an array of integers
  function block_layout() result(layout)
    type(MPIX_Layout) :: layout
    integer(MPI_COUNT_KIND) :: counts(ranks), displs(ranks)
    integer :: p
    counts = rows
    displs = [(int(p * rows, MPI_COUNT_KIND), p = 0, ranks - 1)]
    call MPIX_Layout_create_v(ranks, counts, displs, MPI_INTEGER, layout)
  end function block_layout

  function block_values() result(values)
    integer :: values(rows, ranks)
    integer :: k, p
    values = reshape([((sent(rank, p, k), k = 1, rows), p = 0, ranks - 1)], [rows, ranks])
  end function block_values

  logical function arrived(values)
    integer, intent(in) :: values(rows, ranks)
    integer :: k, p
    arrived = all(values == reshape([((sent(p, rank, k), k = 1, rows), p = 0, ranks - 1)], [rows, ranks]))
  end function arrived

  subroutine test_version()
    integer :: major, minor, patch, ierror
    call MPIX_Layout_get_version(major, minor, patch, ierror)
    call check(ierror == MPI_SUCCESS, 'get_version succeeds')
    call check(all([major, minor, patch] == [MPIX_LAYOUT_VERSION_MAJOR, MPIX_LAYOUT_VERSION_MINOR, &
                                             MPIX_LAYOUT_VERSION_PATCH]), 'versions agree')
  end subroutine test_version

  subroutine test_handles()
    type(MPIX_Layout) :: layout, copy
    type(MPIX_Layout_plan) :: plan
    type(MPIX_Layout_stats) :: stats
    integer(MPI_COUNT_KIND) :: bytes
    integer(MPI_ADDRESS_KIND) :: lb, extent
    call check(layout == MPIX_LAYOUT_NULL, 'a new handle is null')
    call check(plan == MPIX_LAYOUT_PLAN_NULL, 'a new plan handle is null')
    call check(c_sizeof(stats) == stats%size, 'size of the statistics')
    layout = block_layout()
    copy = layout
    call check(layout /= MPIX_LAYOUT_NULL .and. copy == layout, 'a created handle is not null')
    call MPIX_Layout_get_size(copy, ranks - 1, bytes)
    call check(bytes == 4 * rows, 'get_size')
    call MPIX_Layout_get_true_extent(layout, lb, extent)
    call check(lb == 0 .and. extent == 4 * rows * ranks, 'get_true_extent')
    call MPIX_Layout_free(layout)
    call check(layout == MPIX_LAYOUT_NULL, 'a freed handle is null')
  end subroutine test_handles

  ! Rows of a matrix leave, columns arrive: blocks of one shape meet blocks of another.
  subroutine test_v_to_w()
    integer(MPI_COUNT_KIND) :: counts(ranks)
    integer(MPI_ADDRESS_KIND) :: displs(ranks)
    type(MPI_Datatype) :: types(ranks), row
    type(MPIX_Layout) :: from, to
    integer :: received(ranks, rows), p, k, ierror
    call MPI_Type_vector(rows, 1, ranks, MPI_INTEGER, row)
    call MPI_Type_commit(row)
    counts = 1
    displs = [(4_MPI_ADDRESS_KIND * p, p = 0, ranks - 1)]
    types = row
    call MPIX_Layout_create_w(ranks, counts, displs, types, to, ierror)
    call check(ierror == MPI_SUCCESS, 'create_w succeeds')
    call MPI_Type_free(row)
    from = block_layout()
    received = -1
    call MPIX_Alltoallv_layout(block_values(), from, received, to, MPI_COMM_WORLD, ierror)
    call check(ierror == MPI_SUCCESS, 'v to w succeeds')
    call check(all(received == reshape([((sent(p, rank, k), p = 0, ranks - 1), k = 1, rows)], &
                                       [ranks, rows])), 'v to w: data')
    call MPIX_Layout_free(from)
    call MPIX_Layout_free(to)
  end subroutine test_v_to_w

  ! One row for everybody, sent in reverse order of its pieces.
  subroutine test_indexed_block()
    integer(MPI_COUNT_KIND) :: counts(ranks), indices(rows * ranks), lengths(rows * ranks)
    integer(MPI_ADDRESS_KIND) :: displs(rows * ranks)
    type(MPIX_Layout) :: from, to
    integer :: values(rows), received(rows, ranks), p, k, ierror
    counts = rows
    indices = [((int(rows - k, MPI_COUNT_KIND), k = 1, rows), p = 1, ranks)]
    call MPIX_Layout_create_indexed_block(ranks, counts, indices, MPI_INTEGER, from, ierror)
    call check(ierror == MPI_SUCCESS, 'create_indexed_block succeeds')
    lengths = 4
    displs = [(4_MPI_ADDRESS_KIND * k, k = 0, rows * ranks - 1)]
    call MPIX_Layout_create_hindexed(ranks, counts, lengths, displs, to, ierror)
    call check(ierror == MPI_SUCCESS, 'create_hindexed succeeds')
    values = [(sent(rank, 0, k), k = 1, rows)]
    received = -1
    call MPIX_Alltoallv_layout(values, from, received, to, MPI_COMM_WORLD, ierror)
    call check(ierror == MPI_SUCCESS, 'indexed to hindexed succeeds')
    call check(all(received == reshape([((sent(p, 0, rows + 1 - k), k = 1, rows), p = 0, ranks - 1)], &
                                       [rows, ranks])), 'indexed to hindexed: data')
    call MPIX_Layout_free(from)
    call MPIX_Layout_free(to)
  end subroutine test_indexed_block

  subroutine test_in_place()
    type(MPIX_Layout) :: layout
    integer :: values(rows, ranks), ierror
    layout = block_layout()
    values = block_values()
    call MPIX_Alltoallv_layout(MPI_IN_PLACE, MPIX_LAYOUT_NULL, values, layout, MPI_COMM_WORLD, ierror)
    call check(ierror == MPI_SUCCESS, 'in place succeeds')
    call check(arrived(values), 'in place: data')
    call MPIX_Layout_free(layout)
  end subroutine test_in_place

  ! Absolute addresses as displacements.
  subroutine test_bottom()
    type(MPIX_Layout) :: from, to
    integer, asynchronous :: values(rows, ranks), received(rows, ranks)
    integer :: ierror
    values = block_values()
    received = -1
    from = absolute_layout(values)
    to = absolute_layout(received)
    call MPIX_Alltoallv_layout(MPI_BOTTOM, from, MPI_BOTTOM, to, MPI_COMM_WORLD, ierror)
    call MPI_F_sync_reg(received)
    call check(ierror == MPI_SUCCESS, 'MPI_BOTTOM succeeds')
    call check(arrived(received), 'MPI_BOTTOM: data')
    call MPIX_Layout_free(from)
    call MPIX_Layout_free(to)
  end subroutine test_bottom

  function absolute_layout(values) result(layout)
    integer, intent(in), asynchronous :: values(rows, ranks)
    type(MPIX_Layout) :: layout
    integer(MPI_COUNT_KIND) :: counts(ranks), lengths(ranks)
    integer(MPI_ADDRESS_KIND) :: displs(ranks)
    integer :: p
    counts = 1
    lengths = 4 * rows
    do p = 1, ranks
      call MPI_Get_address(values(1, p), displs(p))
    end do
    call MPIX_Layout_create_hindexed(ranks, counts, lengths, displs, layout)
  end function absolute_layout

  ! A section that is not contiguous: offsets count from its first element in memory, nothing is copied.
  subroutine test_section()
    type(MPIX_Layout) :: layout
    integer :: values(rows, ranks), received(2, rows * ranks), ierror
    integer(MPI_COUNT_KIND) :: counts(ranks), indices(rows * ranks)
    integer :: k
    type(MPI_Datatype) :: vector
    type(MPIX_Layout) :: from
    counts = rows
    indices = [(int(k, MPI_COUNT_KIND), k = 0, rows * ranks - 1)]
    call MPI_Type_create_resized(MPI_INTEGER, 0_MPI_ADDRESS_KIND, 8_MPI_ADDRESS_KIND, vector)
    call MPI_Type_commit(vector)
    call MPIX_Layout_create_indexed_block(ranks, counts, indices, vector, layout)
    call MPI_Type_free(vector)
    from = block_layout()
    values = block_values()
    received = -1
    call MPIX_Alltoallv_layout(values, from, received(2, :), layout, MPI_COMM_WORLD, ierror)
    call check(ierror == MPI_SUCCESS, 'section succeeds')
    call check(arrived(reshape(received(2, :), [rows, ranks])), 'section: data')
    call check(all(received(1, :) == -1), 'section: neighbours untouched')
    call MPIX_Layout_free(from)
    call MPIX_Layout_free(layout)
  end subroutine test_section

  ! Two exchanges and an MPI message in flight together; layouts are freed at once.
  subroutine test_requests()
    type(MPIX_Layout) :: layout
    integer, asynchronous :: values(rows, ranks), first(rows, ranks), second(rows, ranks), token
    type(MPI_Request) :: requests(3)
    type(MPI_Status) :: statuses(2)
    integer :: ierror
    layout = block_layout()
    values = block_values()
    first = -1
    second = -1
    token = -1
    call MPI_Irecv(token, 1, MPI_INTEGER, modulo(rank - 1, ranks), 1, MPI_COMM_WORLD, requests(1))
    call MPIX_Ialltoallv_layout(values, layout, first, layout, MPI_COMM_WORLD, requests(2), ierror)
    call check(ierror == MPI_SUCCESS, 'first nonblocking start')
    call MPIX_Ialltoallv_layout(values, layout, second, layout, MPI_COMM_WORLD, requests(3), ierror)
    call check(ierror == MPI_SUCCESS, 'second nonblocking start')
    call MPIX_Layout_free(layout)
    call MPI_Send(rank, 1, MPI_INTEGER, modulo(rank + 1, ranks), 1, MPI_COMM_WORLD)
    call MPI_Wait(requests(3), MPI_STATUS_IGNORE, ierror)
    call check(ierror == MPI_SUCCESS, 'MPI_Wait')
    call MPI_Waitall(2, requests(1:2), statuses, ierror)
    call check(ierror == MPI_SUCCESS, 'MPI_Waitall')
    call MPI_F_sync_reg(values)
    call check(all(requests == MPI_REQUEST_NULL), 'requests are null')
    call check(token == modulo(rank - 1, ranks), 'message beside the exchanges')
    call check(arrived(first) .and. arrived(second), 'nonblocking: data')
  end subroutine test_requests

  subroutine test_plan()
    integer, parameter :: times = 3
    type(MPIX_Layout) :: layout
    type(MPIX_Layout_plan) :: plan
    type(MPIX_Layout_stats) :: stats
    type(MPI_Info) :: info
    type(MPI_Request) :: request
    integer, asynchronous :: values(rows, ranks), received(rows, ranks)
    integer :: ierror, i
    layout = block_layout()
    call MPI_Info_create(info)
    call MPI_Info_set(info, 'mpix_layout_timeout', '30')
    call MPIX_Alltoallv_layout_init(layout, layout, MPI_COMM_WORLD, info, plan, ierror)
    call check(ierror == MPI_SUCCESS, 'init succeeds')
    call MPI_Info_free(info)
    call MPIX_Layout_free(layout)
    do i = 1, times
      values = block_values() + i
      received = -1
      call MPIX_Layout_plan_start(plan, values, received, request, ierror)
      call check(ierror == MPI_SUCCESS, 'plan_start succeeds')
      call MPI_Wait(request, MPI_STATUS_IGNORE, ierror)
      call MPI_F_sync_reg(received)
      call check(ierror == MPI_SUCCESS .and. arrived(received - i), 'plan: data')
    end do
    values = block_values()
    call MPIX_Layout_plan_start(plan, MPI_IN_PLACE, values, request, ierror)
    if (ierror == MPI_SUCCESS) call MPI_Wait(request, MPI_STATUS_IGNORE, ierror)
    call MPI_F_sync_reg(values)
    call check(ierror == MPI_SUCCESS .and. arrived(values), 'plan in place: data')
    call MPIX_Layout_plan_get_stats(plan, stats, ierror)
    call check(ierror == MPI_SUCCESS, 'get_stats succeeds')
    call check(stats%starts == times + 1 .and. stats%completions == times + 1, 'stats: starts, completions')
    call check(stats%send_bytes == 4 * rows * ranks .and. stats%recv_peers == ranks, 'stats: sizes')
    call MPIX_Layout_plan_free(plan, ierror)
    call check(ierror == MPI_SUCCESS .and. plan == MPIX_LAYOUT_PLAN_NULL, 'plan_free')
  end subroutine test_plan

  ! The default stream, while no context of CUDA is current: without a driver that is MPI_ERR_ARG, with one the
  ! driver's own error. The plan can be started otherwise then. on_stream.sh tests streams that there are.
  subroutine test_plan_on_stream()
    type(MPIX_Layout) :: layout
    type(MPIX_Layout_plan) :: plan
    type(MPI_Request) :: request
    integer, asynchronous :: values(rows, ranks), received(rows, ranks)
    integer :: code, ierror
    layout = block_layout()
    call MPIX_Alltoallv_layout_init(layout, layout, MPI_COMM_WORLD, MPI_INFO_NULL, plan, ierror)
    call check(ierror == MPI_SUCCESS, 'init succeeds')
    call MPIX_Layout_free(layout, ierror)
    values = block_values()
    received = -1
    call MPIX_Layout_plan_start_on_stream(plan, values, received, c_null_ptr, request, code)
    if (code /= MPI_SUCCESS) then
      call check(class_of(code) == MPI_ERR_ARG, 'class of a refused start on a stream')
      call check(request == MPI_REQUEST_NULL, 'the request of a refused start is null')
      call MPIX_Layout_plan_start(plan, values, received, request, ierror)
      call check(ierror == MPI_SUCCESS, 'the plan stays usable')
    end if
    call MPI_Wait(request, MPI_STATUS_IGNORE, ierror)
    call MPI_F_sync_reg(received)
    call check(ierror == MPI_SUCCESS .and. arrived(received), 'plan on a stream: data')
    call MPIX_Layout_plan_free(plan, ierror)
  end subroutine test_plan_on_stream

  subroutine test_mem_alloc()
    type(MPIX_Layout) :: layout
    type(c_ptr) :: base
    integer, pointer :: values(:, :)
    integer :: received(rows, ranks), ierror
    base = c_null_ptr
    call MPIX_Layout_mem_alloc(int(4 * rows * ranks, MPI_ADDRESS_KIND), MPI_INFO_NULL, base, ierror)
    call check(ierror == MPI_SUCCESS .and. c_associated(base), 'mem_alloc succeeds')
    if (.not. c_associated(base)) return
    call c_f_pointer(base, values, [rows, ranks])
    call check(all(values == 0), 'memory is zeroed')
    values = block_values()
    layout = block_layout()
    received = -1
    call MPIX_Alltoallv_layout(values, layout, received, layout, MPI_COMM_WORLD, ierror)
    call check(ierror == MPI_SUCCESS .and. arrived(received), 'from allocated memory: data')
    call MPIX_Layout_free(layout)
    call MPIX_Layout_mem_free(base, ierror)
    call check(ierror == MPI_SUCCESS, 'mem_free succeeds')
  end subroutine test_mem_alloc

  subroutine test_errors()
    type(MPIX_Layout) :: layout, freed
    type(MPIX_Layout_plan) :: plan
    integer(MPI_COUNT_KIND) :: counts(ranks), displs(ranks), bytes
    integer :: buffer(1), length, ierror
    character(MPI_MAX_ERROR_STRING) :: message
    counts = -1
    displs = 0
    call MPIX_Layout_create_v(ranks, counts, displs, MPI_INTEGER, layout, ierror)
    call check(class_of(ierror) == MPI_ERR_COUNT, 'a negative count is of class MPI_ERR_COUNT')
    call check(layout == MPIX_LAYOUT_NULL, 'a failed creation gives a null handle')
    layout = block_layout()
    call MPIX_Layout_get_size(layout, ranks, bytes, ierror)
    call check(class_of(ierror) == MPI_ERR_ARG, 'a peer out of range is of class MPI_ERR_ARG')
    freed = layout
    call MPIX_Layout_free(layout)
    call MPIX_Alltoallv_layout(buffer, freed, buffer, freed, MPI_COMM_WORLD, ierror)
    call check(class_of(ierror) == MPIX_ERR_LAYOUT, 'a freed layout is of class MPIX_ERR_LAYOUT')
    call MPI_Error_string(ierror, message, length)
    call check(index(message(:length), 'layout') > 0, 'the message names the layout')
    call MPIX_Layout_plan_free(plan, ierror)
    call check(class_of(ierror) == MPIX_ERR_LAYOUT, 'a null plan is of class MPIX_ERR_LAYOUT')
  end subroutine test_errors

  ! Every rank sends more to everybody than it expects from them.
  subroutine test_mismatch()
    type(MPIX_Layout) :: from, to
    integer(MPI_COUNT_KIND) :: counts(ranks), displs(ranks)
    integer :: values(rows, ranks), received(rows * ranks), p, ierror
    from = block_layout()
    counts = 1
    displs = [(int(p, MPI_COUNT_KIND), p = 0, ranks - 1)]
    call MPIX_Layout_create_v(ranks, counts, displs, MPI_INTEGER, to)
    values = block_values()
    received = -1
    call MPIX_Alltoallv_layout(values, from, received, to, MPI_COMM_WORLD, ierror)
    call check(class_of(ierror) == MPIX_ERR_MISMATCH, 'different sizes are of class MPIX_ERR_MISMATCH')
    call check(all(received(ranks + 1:) == -1), 'nothing outside the layout is written')
    received = -1
    call MPIX_Alltoallv_layout(values, from, received, from, MPI_COMM_WORLD, ierror)
    call check(ierror == MPI_SUCCESS .and. arrived(reshape(received, [rows, ranks])), &
               'the communicator stays usable')
    call MPIX_Layout_free(from)
    call MPIX_Layout_free(to)
  end subroutine test_mismatch

end program test_f08
