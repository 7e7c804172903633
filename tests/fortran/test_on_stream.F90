! SPDX-License-Identifier: BSD-3-Clause
!
! MPIX_Layout_plan_start_on_stream with memory of a GPU, at any number of ranks. Built twice: with MPIX_TEST_F08
! for mpix_layout_f08, without it for mpix_layout_f90. The driver is that of MPIX_LAYOUT_CUDA_DRIVER, real or
! emulated, whose functions are looked up at run time, so that the program links without CUDA.
#ifdef MPIX_TEST_F08
#define REQUEST_TYPE type(MPI_Request)
#else
#define REQUEST_TYPE integer
#endif
program test_on_stream
  use, intrinsic :: iso_c_binding
#ifdef MPIX_TEST_F08
  use mpi_f08
  use mpix_layout_f08
#else
  use mpi
  use mpix_layout_f90
#endif
  implicit none

  interface
    function dlopen(name, flags) bind(C, name="dlopen")
      import :: c_char, c_int, c_ptr
      character(kind=c_char), intent(in) :: name(*)
      integer(c_int), value :: flags
      type(c_ptr) :: dlopen
    end function dlopen

    function dlsym(library, name) bind(C, name="dlsym")
      import :: c_char, c_funptr, c_ptr
      type(c_ptr), value :: library
      character(kind=c_char), intent(in) :: name(*)
      type(c_funptr) :: dlsym
    end function dlsym
  end interface

  ! Of the driver: what gives something by number, gives memory, takes a handle, and copies in a stream's order.
  abstract interface
    function cuda_numbered(number) bind(C)
      import :: c_int
      integer(c_int), value :: number
      integer(c_int) :: cuda_numbered
    end function cuda_numbered

    function cuda_get_device(device, number) bind(C)
      import :: c_int
      integer(c_int), intent(out) :: device
      integer(c_int), value :: number
      integer(c_int) :: cuda_get_device
    end function cuda_get_device

    function cuda_make(handle, flags) bind(C)
      import :: c_int, c_ptr
      type(c_ptr), intent(out) :: handle
      integer(c_int), value :: flags
      integer(c_int) :: cuda_make
    end function cuda_make

    function cuda_allocate(memory, bytes) bind(C)
      import :: c_int, c_ptr, c_size_t
      type(c_ptr), intent(out) :: memory
      integer(c_size_t), value :: bytes
      integer(c_int) :: cuda_allocate
    end function cuda_allocate

    function cuda_take(handle) bind(C)
      import :: c_int, c_ptr
      type(c_ptr), value :: handle
      integer(c_int) :: cuda_take
    end function cuda_take

    function cuda_copy(to, from, bytes, stream) bind(C)
      import :: c_int, c_ptr, c_size_t
      type(c_ptr), value :: to, from, stream
      integer(c_size_t), value :: bytes
      integer(c_int) :: cuda_copy
    end function cuda_copy
  end interface

  integer, parameter :: rows = 5000, skipped = 77
  integer(c_int), parameter :: now = 2          ! RTLD_NOW
  integer(c_int), parameter :: non_blocking = 1 ! CU_STREAM_NON_BLOCKING
  procedure(cuda_numbered), pointer :: init
  procedure(cuda_get_device), pointer :: get_device
  procedure(cuda_make), pointer :: retain_context, create_stream
  procedure(cuda_allocate), pointer :: allocate_memory
  procedure(cuda_take), pointer :: set_context, free_memory, synchronize, destroy_stream
  procedure(cuda_copy), pointer :: upload, download
  type(c_ptr) :: driver, stream, context
  type(MPIX_Layout_plan) :: plan
  integer(c_size_t) :: bytes
  integer :: rank, ranks, failures, total, ierror

  failures = 0
  call MPI_Init(ierror)
  call MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN, ierror)
  call MPI_Comm_rank(MPI_COMM_WORLD, rank, ierror)
  call MPI_Comm_size(MPI_COMM_WORLD, ranks, ierror)
  bytes = int(4 * rows * ranks, c_size_t)
  call load_driver()
  call make_plan()

  call test_device(stream, .true.)
  call test_device(stream, .false.)
  call test_device(c_null_ptr, .true.)
  call test_host()
  call test_one_side()
  call test_null_plan()

  call MPIX_Layout_plan_free(plan, ierror)
  call done(destroy_stream(stream), 'cuStreamDestroy')
  call MPI_Allreduce(failures, total, 1, MPI_INTEGER, MPI_SUM, MPI_COMM_WORLD, ierror)
  if (rank == 0) print '(a,i0,a)', 'test_on_stream: ', total, ' failures'
  call MPI_Finalize(ierror)
  if (total > 0) error stop 1

contains

  subroutine check(holds, what)
    logical, intent(in) :: holds
    character(*), intent(in) :: what
    if (holds) return
    failures = failures + 1
    print '(a,i0,2a)', 'rank ', rank, ': failed: ', what
  end subroutine check

  ! A driver that fails ends the test.
  subroutine done(result, what)
    integer(c_int), intent(in) :: result
    character(*), intent(in) :: what
    integer :: code
    if (result == 0) return
    print '(a,i0,3a,i0)', 'rank ', rank, ': ', what, ': CUDA error ', result
    call MPI_Abort(MPI_COMM_WORLD, 1, code)
  end subroutine done

  type(c_funptr) function found(name)
    character(*), intent(in) :: name
    found = dlsym(driver, name // c_null_char)
    if (.not. c_associated(found)) call done(-1_c_int, name)
  end function found

  subroutine load_driver()
    character(4096) :: name
    integer :: length, status
    integer(c_int) :: device
    call get_environment_variable('MPIX_LAYOUT_CUDA_DRIVER', name, length, status)
    if (status /= 0 .or. length == 0) then
      if (rank == 0) print '(a)', 'SKIP: MPIX_LAYOUT_CUDA_DRIVER names no driver'
      call MPI_Finalize(ierror)
      stop skipped
    end if
    driver = dlopen(name(:length) // c_null_char, now)
    if (.not. c_associated(driver)) call done(-1_c_int, name(:length))
    call c_f_procpointer(found('cuInit'), init)
    call c_f_procpointer(found('cuDeviceGet'), get_device)
    call c_f_procpointer(found('cuCtxSetCurrent'), set_context)
    call c_f_procpointer(found('cuDevicePrimaryCtxRetain'), retain_context)
    call c_f_procpointer(found('cuStreamCreate'), create_stream)
    call c_f_procpointer(found('cuStreamDestroy_v2'), destroy_stream)
    call c_f_procpointer(found('cuStreamSynchronize'), synchronize)
    call c_f_procpointer(found('cuMemAlloc_v2'), allocate_memory)
    call c_f_procpointer(found('cuMemFree_v2'), free_memory)
    call c_f_procpointer(found('cuMemcpyHtoDAsync_v2'), upload)
    call c_f_procpointer(found('cuMemcpyDtoHAsync_v2'), download)
    call done(init(0_c_int), 'cuInit')
    call done(get_device(device, 0_c_int), 'cuDeviceGet')
    call done(retain_context(context, device), 'cuDevicePrimaryCtxRetain')
    call done(set_context(context), 'cuCtxSetCurrent')
    call done(create_stream(stream, non_blocking), 'cuStreamCreate')
  end subroutine load_driver

  ! Peer p takes elements p * rows + 1 ... (p + 1) * rows of an array of integers, on both sides.
  subroutine make_plan()
    type(MPIX_Layout) :: layout
    integer(MPI_COUNT_KIND) :: counts(ranks), displs(ranks)
    integer :: p
    counts = rows
    displs = [(int(p * rows, MPI_COUNT_KIND), p = 0, ranks - 1)]
    call MPIX_Layout_create_v(ranks, counts, displs, MPI_INTEGER, layout, ierror)
    call check(ierror == MPI_SUCCESS, 'create_v succeeds')
    call MPIX_Alltoallv_layout_init(layout, layout, MPI_COMM_WORLD, MPI_INFO_NULL, plan, ierror)
    call check(ierror == MPI_SUCCESS, 'init succeeds')
    call MPIX_Layout_free(layout, ierror)
  end subroutine make_plan

  ! What rank `from` sends to rank `to` as its element k, k = 1, 2, ...
  elemental integer function sent(from, to, k)
    integer, intent(in) :: from, to, k
    sent = 10000000 * (from + 1) + 100000 * to + k
  end function sent

  function sent_values() result(values)
    integer :: values(rows, ranks)
    integer :: k, p
    values = reshape([((sent(rank, p, k), k = 1, rows), p = 0, ranks - 1)], [rows, ranks])
  end function sent_values

  logical function arrived(values)
    integer, intent(in) :: values(rows, ranks)
    integer :: k, p
    arrived = all(values == reshape([((sent(p, rank, k), k = 1, rows), p = 0, ranks - 1)], [rows, ranks]))
  end function arrived

  ! Memory of the GPU as an array that only the library and the driver look at.
  function device_array(values) result(array)
    integer, intent(in), target :: values(rows, ranks)
    integer, pointer :: array(:, :)
    type(c_ptr) :: memory
    call done(allocate_memory(memory, bytes), 'cuMemAlloc')
    call done(upload(memory, c_loc(values), bytes, c_null_ptr), 'cuMemcpyHtoDAsync')
    call done(synchronize(c_null_ptr), 'cuStreamSynchronize')
    call c_f_pointer(memory, array, [rows, ranks])
  end function device_array

  subroutine free_array(array)
    integer, pointer, intent(in) :: array(:, :)
    call done(free_memory(c_loc(array)), 'cuMemFree')
  end subroutine free_array

  ! What is sent comes into being on the stream, and what was received leaves by it; nobody waits in between.
  subroutine test_device(order, stream_first)
    type(c_ptr), intent(in) :: order
    logical, intent(in) :: stream_first
    integer, pointer, asynchronous :: from(:, :), to(:, :)
    integer, target, asynchronous :: values(rows, ranks), after(rows, ranks), nothing(rows, ranks)
    REQUEST_TYPE :: request
    values = sent_values()
    nothing = -1
    after = -1
    from => device_array(nothing)
    to => device_array(nothing)
    call done(upload(c_loc(from), c_loc(values), bytes, order), 'cuMemcpyHtoDAsync')
    call MPIX_Layout_plan_start_on_stream(plan, from, to, order, request, ierror)
    call check(ierror == MPI_SUCCESS, 'start on a stream')
    call done(download(c_loc(after), c_loc(to), bytes, order), 'cuMemcpyDtoHAsync')
    if (stream_first) call done(synchronize(order), 'cuStreamSynchronize')
    call MPI_Wait(request, MPI_STATUS_IGNORE, ierror)
    call check(ierror == MPI_SUCCESS, 'MPI_Wait')
    if (.not. stream_first) call done(synchronize(order), 'cuStreamSynchronize')
    call check(request == MPI_REQUEST_NULL, 'the request is null')
    call check(arrived(after), 'from GPU to GPU on a stream: data')
    call free_array(from)
    call free_array(to)
  end subroutine test_device

  subroutine test_host()
    integer, asynchronous :: values(rows, ranks), received(rows, ranks)
    REQUEST_TYPE :: request
    values = sent_values()
    received = -1
    call MPIX_Layout_plan_start_on_stream(plan, values, received, stream, request, ierror)
    call check(ierror == MPI_SUCCESS, 'start on a stream, memory of the host')
    call MPI_Wait(request, MPI_STATUS_IGNORE, ierror)
    call check(ierror == MPI_SUCCESS .and. arrived(received), 'memory of the host on a stream: data')
  end subroutine test_host

  ! Even ranks send from the GPU and follow the stream, odd ones receive there and follow the host.
  subroutine test_one_side()
    integer, pointer, asynchronous :: there(:, :)
    integer, target, asynchronous :: values(rows, ranks), received(rows, ranks)
    REQUEST_TYPE :: request
    values = sent_values()
    received = -1
    if (modulo(rank, 2) == 0) then
      there => device_array(values)
      call MPIX_Layout_plan_start_on_stream(plan, there, received, stream, request, ierror)
    else
      there => device_array(received)
      call MPIX_Layout_plan_start(plan, values, there, request, ierror)
    end if
    call check(ierror == MPI_SUCCESS, 'one side on a GPU: start')
    call MPI_Wait(request, MPI_STATUS_IGNORE, ierror)
    call check(ierror == MPI_SUCCESS, 'one side on a GPU: MPI_Wait')
    if (modulo(rank, 2) == 1) then
      call done(download(c_loc(received), c_loc(there), bytes, stream), 'cuMemcpyDtoHAsync')
      call done(synchronize(stream), 'cuStreamSynchronize')
    end if
    call check(arrived(received), 'one side on a GPU: data')
    call free_array(there)
  end subroutine test_one_side

  subroutine test_null_plan()
    type(MPIX_Layout_plan) :: none
    integer :: buffer(1), class, code
    REQUEST_TYPE :: request
    buffer = 0
    call MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN, ierror)
    call MPIX_Layout_plan_start_on_stream(none, buffer, buffer, stream, request, code)
    class = MPI_SUCCESS
    if (code /= MPI_SUCCESS) call MPI_Error_class(code, class, ierror)
    call check(class == MPIX_ERR_LAYOUT, 'a null plan is of class MPIX_ERR_LAYOUT')
    call check(request == MPI_REQUEST_NULL, 'the request of a failed start is null')
  end subroutine test_null_plan

end program test_on_stream
