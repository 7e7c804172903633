# SPDX-License-Identifier: BSD-3-Clause
# MPIX_CHECK_KERNELS
# Instruction sets that the compiler can be told to use for single files; the processor decides at run time.
# Defines MPIX_KERNELS_AVX2 and MPIX_KERNELS_AVX512 in config.h. Sets KERNELS_*_CXXFLAGS, mpix_kernels.
AC_DEFUN([MPIX_CHECK_KERNELS], [
mpix_kernels=portable
mpix_avx2=no
mpix_avx512=no
AS_CASE([$host_cpu], [x86_64|amd64|i?86], [
  MPIX_KERNEL_FLAGS([avx2], [-mavx2], [__m256i v = _mm256_set1_epi8(1); _mm256_stream_si256(p, v);], [__m256i])
  MPIX_KERNEL_FLAGS([avx512], [-mavx512f -mavx512bw -mavx512vl],
    [__m512i v = _mm512_set1_epi8(1); _mm512_stream_si512(p, v);], [__m512i])
])
AM_CONDITIONAL([KERNELS_AVX2], [test "$mpix_avx2" = yes])
AM_CONDITIONAL([KERNELS_AVX512], [test "$mpix_avx512" = yes])
])

# MPIX_KERNEL_FLAGS(NAME, FLAGS, STATEMENT, TYPE)
AC_DEFUN([MPIX_KERNEL_FLAGS], [
AC_LANG_PUSH([C++])
mpix_save_CXXFLAGS=$CXXFLAGS
CXXFLAGS="$CXXFLAGS $2"
AC_MSG_CHECKING([whether $CXX accepts $2])
AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[
#include <immintrin.h>
void store($4* p) { $3 }]], [])],
  [mpix_$1=yes
   mpix_kernels="$1 $mpix_kernels"
   AC_SUBST([KERNELS_]m4_toupper([$1])[_CXXFLAGS], ["$2"])
   AC_DEFINE([MPIX_KERNELS_]m4_toupper([$1]), [1], [Define to 1 where kernels for $1 are built])])
AC_MSG_RESULT([$mpix_$1])
CXXFLAGS=$mpix_save_CXXFLAGS
AC_LANG_POP([C++])
])
