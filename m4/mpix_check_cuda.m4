# SPDX-License-Identifier: BSD-3-Clause
# MPIX_CHECK_CUDA
# CUDA below a given folder; left out unless asked for. Nothing uses it yet. Sets NVCC, CUDA_CPPFLAGS, HAVE_CUDA.
AC_DEFUN([MPIX_CHECK_CUDA], [
AC_ARG_WITH([cuda],
  [AS_HELP_STRING([--with-cuda=DIR|no], [CUDA, installed in DIR [default: no; nothing uses it yet]])],
  [], [with_cuda=no])
mpix_cuda=no
CUDA_CPPFLAGS=
AS_IF([test "$with_cuda" != no], [
  AS_IF([test "$with_cuda" = yes], [
    AC_PATH_PROG([NVCC], [nvcc], [], [$PATH$PATH_SEPARATOR/usr/local/cuda/bin])
    with_cuda=`dirname "\`dirname "$NVCC"\`"`
  ], [AC_PATH_PROG([NVCC], [nvcc], [], [$with_cuda/bin])])
  CUDA_CPPFLAGS="-isystem $with_cuda/include"
  mpix_save_CPPFLAGS=$CPPFLAGS
  CPPFLAGS="$CUDA_CPPFLAGS $CPPFLAGS"
  AC_CHECK_HEADER([cuda.h], [mpix_cuda=$with_cuda], [mpix_cuda=no])
  CPPFLAGS=$mpix_save_CPPFLAGS
  AS_IF([test "$mpix_cuda" = no || test -z "$NVCC"],
    [AC_MSG_ERROR([CUDA was not found: --with-cuda=DIR needs DIR/bin/nvcc and DIR/include/cuda.h])])
  AC_DEFINE([HAVE_CUDA], [1], [Define to 1 where CUDA was found])
])
AC_SUBST([CUDA_CPPFLAGS])
AM_CONDITIONAL([CUDA], [test "$mpix_cuda" != no])
])
