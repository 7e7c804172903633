# SPDX-License-Identifier: BSD-3-Clause
# MPIX_CHECK_CUDA
# CUDA: used where nvcc is found, unless it is refused. The library needs nvcc for its kernel and cuda.h for the
# driver's types; the driver itself is found at run time. Sets NVCC, NVCC_WARNINGS, CUDA_CPPFLAGS, CUDA_GENCODE,
# mpix_cuda, mpix_cuda_summary, HAVE_CUDA.
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
# Code for each generation that this nvcc knows. PTX of the newest serves those to come, PTX of the oldest the
# embedded GPUs between them, which do not run code made for others of their generation.
AC_ARG_VAR([CUDA_GENCODE], [options of nvcc that name the architectures [default: 70 75 80 90 100 and PTX, as known]])
mpix_cuda_archs="CUDA_GENCODE=$CUDA_GENCODE"
AS_IF([test "$mpix_cuda" != no && test -z "$CUDA_GENCODE"], [
  AC_MSG_CHECKING([architectures of GPUs])
  mpix_known=`"$NVCC" --list-gpu-arch 2>/dev/null`
  mpix_cuda_archs=
  mpix_oldest=
  for mpix_arch in 70 75 80 90 100; do
    AS_IF([echo "$mpix_known" | grep "^compute_$mpix_arch\$" >/dev/null], [
      mpix_cuda_archs="$mpix_cuda_archs $mpix_arch"
      CUDA_GENCODE="$CUDA_GENCODE -gencode arch=compute_$mpix_arch,code=sm_$mpix_arch"
      : "${mpix_oldest:=$mpix_arch}"
      mpix_newest=$mpix_arch
    ])
  done
  AS_IF([test -z "$mpix_oldest"],
    [AC_MSG_ERROR([$NVCC knows none of the architectures 70 to 100; name others by CUDA_GENCODE=])])
  mpix_ptx=$mpix_newest
  AS_IF([test "$mpix_oldest" != "$mpix_newest"], [mpix_ptx="$mpix_oldest $mpix_newest"])
  for mpix_arch in $mpix_ptx; do
    CUDA_GENCODE="$CUDA_GENCODE -gencode arch=compute_$mpix_arch,code=compute_$mpix_arch"
  done
  mpix_cuda_archs="architectures$mpix_cuda_archs, PTX of $mpix_ptx"
  AC_MSG_RESULT([$mpix_cuda_archs])
])
mpix_cuda_summary=no
AS_IF([test "$mpix_cuda" != no], [mpix_cuda_summary="$mpix_cuda ($mpix_cuda_archs)"])
NVCC_WARNINGS=
AS_IF([test "$enable_werror" != no], [NVCC_WARNINGS="-Werror all-warnings"])
AC_SUBST([NVCC_WARNINGS])
AS_IF([test "$mpix_cuda" != no],
  [AC_DEFINE([HAVE_CUDA], [1], [Define to 1 where CUDA was found])],
  [AS_CASE([$with_cuda], [no|check], [],
    [AC_MSG_ERROR([CUDA was not found: --with-cuda=DIR needs DIR/bin/nvcc and DIR/include/cuda.h])])])
AC_SUBST([NVCC])
AC_SUBST([CUDA_CPPFLAGS])
AM_CONDITIONAL([CUDA], [test "$mpix_cuda" != no])
])
