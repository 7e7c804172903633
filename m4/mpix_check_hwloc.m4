# SPDX-License-Identifier: BSD-3-Clause
# MPIX_CHECK_HWLOC
# hwloc by pkg-config or below a given folder; may be left out. Sets HWLOC_CFLAGS, HWLOC_LIBS, HAVE_HWLOC.
AC_DEFUN([MPIX_CHECK_HWLOC], [
AC_ARG_WITH([hwloc],
  [AS_HELP_STRING([--with-hwloc=DIR|no], [hwloc, installed in DIR; by default found by pkg-config])],
  [], [with_hwloc=auto])
mpix_hwloc_version=no
HWLOC_CFLAGS=
HWLOC_LIBS=
AS_CASE([$with_hwloc],
  [no], [],
  [auto|yes], [PKG_CHECK_MODULES([HWLOC], [hwloc >= 2.0], [mpix_hwloc_version=`$PKG_CONFIG --modversion hwloc`],
    [HWLOC_CFLAGS=; HWLOC_LIBS="-lhwloc"])],
  # The compiler would go on to look in its own folders.
  [AS_IF([test ! -f "$with_hwloc/include/hwloc.h"],
     [AC_MSG_ERROR([there is no hwloc in $with_hwloc: include/hwloc.h is missing there])])
   HWLOC_CFLAGS="-isystem $with_hwloc/include"
   HWLOC_LIBS="-L$with_hwloc/lib -lhwloc"
   MPIX_LDFLAGS="$MPIX_LDFLAGS -R$with_hwloc/lib"])
AS_IF([test "$with_hwloc" != no], [
  mpix_save_CPPFLAGS=$CPPFLAGS
  mpix_save_LIBS=$LIBS
  CPPFLAGS="$HWLOC_CFLAGS $CPPFLAGS"
  LIBS="$HWLOC_LIBS $LIBS"
  AC_MSG_CHECKING([for hwloc 2])
  AC_LINK_IFELSE([AC_LANG_PROGRAM([[
#include <hwloc.h>
#if HWLOC_API_VERSION < 0x00020000
#error too old
#endif
]], [[hwloc_topology_t topology; return hwloc_topology_init(&topology);]])],
    [AC_MSG_RESULT([yes])
     AC_COMPUTE_INT([mpix_hwloc_api], [HWLOC_API_VERSION], [#include <hwloc.h>], [mpix_hwloc_api=0])
     AS_IF([test "$mpix_hwloc_version" = no],
       [mpix_hwloc_version=$((mpix_hwloc_api >> 16)).$(((mpix_hwloc_api >> 8) & 255))])
     AC_DEFINE([HAVE_HWLOC], [1], [Define to 1 where hwloc is used])],
    [AC_MSG_RESULT([no])
     AS_IF([test "$with_hwloc" = auto],
       [AC_MSG_WARN([hwloc was not found; NICs near a rank will not be preferred. On Debian: apt-get install libhwloc-dev])
        HWLOC_CFLAGS=; HWLOC_LIBS=; mpix_hwloc_version=no],
       [AC_MSG_ERROR([hwloc 2 was not found. Install it (on Debian: apt-get install libhwloc-dev), or say where it
is: --with-hwloc=DIR, or build without: --without-hwloc])])])
  CPPFLAGS=$mpix_save_CPPFLAGS
  LIBS=$mpix_save_LIBS
])
AC_SUBST([with_hwloc])
AC_SUBST([HWLOC_CFLAGS])
AC_SUBST([HWLOC_LIBS])
])
