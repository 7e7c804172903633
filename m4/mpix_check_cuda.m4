# SPDX-License-Identifier: BSD-3-Clause
# MPIX_CHECK_CUDA
# CUDA: used where nvcc is found, unless it is refused. The library needs nvcc for its kernel and cuda.h for the
# driver's types; the driver itself is found at run time. Sets NVCC, CUDA_CPPFLAGS, mpix_cuda, HAVE_CUDA.
AC_DEFUN([MPIX_CHECK_CUDA], [
AC_ARG_WITH([cuda],
  [AS_HELP_STRING([--with-cuda=DIR|no], [CUDA, installed in DIR [default: where nvcc is found]])],
  [], [with_cuda=check])
mpix_cuda=no
mpix_cuda_dir=
CUDA_CPPFLAGS=
AS_CASE([$with_cuda],
  [no], [NVCC=],
  [yes|check], [
    AC_PATH_PROG([NVCC], [nvcc], [], [$PATH$PATH_SEPARATOR/usr/local/cuda/bin])
    AS_IF([test -n "$NVCC"], [
      mpix_nvcc=`readlink -f "$NVCC"`
      mpix_cuda_dir=`dirname "$mpix_nvcc"`
      mpix_cuda_dir=`dirname "$mpix_cuda_dir"`
    ])],
  [AC_PATH_PROG([NVCC], [nvcc], [], [$with_cuda/bin])
   mpix_cuda_dir=$with_cuda])
AS_IF([test -n "$NVCC"], [
  CUDA_CPPFLAGS="-isystem $mpix_cuda_dir/include"
  mpix_save_CPPFLAGS=$CPPFLAGS
  CPPFLAGS="$CUDA_CPPFLAGS $CPPFLAGS"
  AC_CHECK_HEADER([cuda.h], [mpix_cuda=$mpix_cuda_dir], [CUDA_CPPFLAGS=])
  CPPFLAGS=$mpix_save_CPPFLAGS
])
AS_IF([test "$mpix_cuda" != no],
  [AC_DEFINE([HAVE_CUDA], [1], [Define to 1 where CUDA was found])],
  [AS_CASE([$with_cuda], [no|check], [],
    [AC_MSG_ERROR([CUDA was not found: --with-cuda=DIR needs DIR/bin/nvcc and DIR/include/cuda.h])])])
AC_SUBST([NVCC])
AC_SUBST([CUDA_CPPFLAGS])
AM_CONDITIONAL([CUDA], [test "$mpix_cuda" != no])
])
