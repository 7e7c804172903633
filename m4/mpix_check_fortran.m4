# SPDX-License-Identifier: BSD-3-Clause
# MPIX_CHECK_FORTRAN
# Whether $FC compiles and links programs with `use mpi_f08`. Sets FORTRAN (conditional), FC_MODOUT, fmoddir.
AC_DEFUN([MPIX_CHECK_FORTRAN], [
AC_ARG_ENABLE([fortran],
  [AS_HELP_STRING([--enable-fortran], [build the Fortran modules [default: if $FC has mpi_f08]])],
  [], [enable_fortran=auto])
mpix_fortran=no
AS_IF([test "$enable_fortran" != no], [
  mpix_save_ac_ext=$ac_ext
  AC_LANG_PUSH([Fortran])
  AC_FC_SRCEXT([f90], [], [:])
  AC_MSG_CHECKING([whether $FC links programs with mpi_f08])
  AC_LINK_IFELSE([AC_LANG_SOURCE([[
program main
  use mpi_f08
  type(MPI_Comm) :: comm
  comm = MPI_COMM_WORLD
  call MPI_Init()
  call MPI_Finalize()
end program
]])], [mpix_fortran=yes], [])
  AC_MSG_RESULT([$mpix_fortran])
  AS_IF([test "$mpix_fortran" = yes], [
    AC_FC_MODULE_OUTPUT_FLAG([], [AC_MSG_ERROR([$FC has no flag for the folder of module files; --disable-fortran])])])
  AC_LANG_POP([Fortran])
  AS_IF([test "$mpix_fortran" = no && test "$enable_fortran" = yes],
    [AC_MSG_ERROR([FC=$FC cannot compile and link a program with "use mpi_f08" (on Debian: gfortran and the MPI's
-dev package)])])
])
# Module files are of one compiler and one MPI, so they get a folder of their own.
AC_SUBST([fmoddir], ['${includedir}/mpix_layout/fortran'])
AM_CONDITIONAL([FORTRAN], [test "$mpix_fortran" = yes])
])
