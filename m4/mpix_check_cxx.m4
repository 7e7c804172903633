# SPDX-License-Identifier: BSD-3-Clause
# MPIX_CHECK_CXX
# C++20, and the flags that --enable-debug, --enable-sanitizers and --enable-werror stand for.
# Sets MPIX_CFLAGS, MPIX_CXXFLAGS, MPIX_FCFLAGS, MPIX_LDFLAGS, MPIX_SANITIZE,
# mpix_sanitizers.
AC_DEFUN([MPIX_CHECK_CXX], [
AC_ARG_ENABLE([debug],
  [AS_HELP_STRING([--enable-debug], [compile with -O0 -g3 and assertions of the C++ library])],
  [], [enable_debug=no])
AC_ARG_ENABLE([sanitizers],
  [AS_HELP_STRING([--enable-sanitizers=LIST],
    [compile with -fsanitize=LIST: "address,undefined" or "thread"])],
  [], [enable_sanitizers=no])
AC_ARG_ENABLE([werror],
  [AS_HELP_STRING([--enable-werror], [treat compiler warnings as errors])],
  [], [enable_werror=no])

AC_LANG_PUSH([C++])
mpix_save_CXX=$CXX
mpix_cxx20=no
AC_MSG_CHECKING([how to make $CXX accept C++20])
for mpix_flag in -std=c++20 -std=c++2a; do
  CXX="$mpix_save_CXX $mpix_flag"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[
#include <bit>
#include <span>
template <typename T> concept Small = sizeof(T) <= 8;
int width(Small auto value) { return std::bit_width(static_cast<unsigned>(value)); }]],
    [[int a[2] = {1, 2}; return width(std::span<int>(a)[0]);]])],
    [mpix_cxx20=$mpix_flag; break])
done
CXX=$mpix_save_CXX
AC_MSG_RESULT([$mpix_cxx20])
AS_IF([test "$mpix_cxx20" = no],
  [AC_MSG_ERROR([$CXX does not compile C++20 (GCC 10, Clang 12 or newer is needed)])])
AC_LANG_POP([C++])

mpix_warnings="-Wall -Wextra -Wshadow -Wconversion"
mpix_optimise="-O2 -g"
mpix_sanitizers=none
MPIX_SANITIZE=
AS_IF([test "$enable_debug" != no], [mpix_optimise="-O0 -g3 -D_GLIBCXX_ASSERTIONS"])
AS_CASE([$enable_sanitizers],
  [no], [],
  [yes], [AC_MSG_ERROR([say which: --enable-sanitizers=address,undefined or --enable-sanitizers=thread])],
  [mpix_sanitizers=$enable_sanitizers
   mpix_optimise="-O1 -g1 -fno-omit-frame-pointer -fsanitize=$enable_sanitizers -fno-sanitize-recover=all"
   MPIX_SANITIZE="-fsanitize=$enable_sanitizers"])
AS_IF([test "$enable_werror" != no], [mpix_warnings="$mpix_warnings -Werror"])
MPIX_CFLAGS="$mpix_optimise $mpix_warnings"
MPIX_CXXFLAGS="$mpix_cxx20 $mpix_optimise $mpix_warnings -fvisibility=hidden -fvisibility-inlines-hidden"
MPIX_FCFLAGS="$mpix_optimise -Wall"
AC_SUBST([MPIX_CFLAGS])
AC_SUBST([MPIX_CXXFLAGS])
AC_SUBST([MPIX_FCFLAGS])
MPIX_LDFLAGS=$MPIX_SANITIZE
AC_SUBST([MPIX_LDFLAGS])
AC_SUBST([MPIX_SANITIZE])
AM_CONDITIONAL([SANITIZERS], [test "$mpix_sanitizers" != none])
])
