# SPDX-License-Identifier: BSD-3-Clause
# MPIX_CHECK_HEADER_VERSION
# Stops where the public header and configure.ac name different versions.
AC_DEFUN([MPIX_CHECK_HEADER_VERSION], [
AC_MSG_CHECKING([version in mpix_layout.h])
mpix_header_version=`sed -n 's/^.define MPIX_LAYOUT_VERSION_[[A-Z]]* *//p' "$srcdir/include/mpix_layout.h" | paste -sd.`
AC_MSG_RESULT([$mpix_header_version])
AS_IF([test "$mpix_header_version" != "$PACKAGE_VERSION"],
  [AC_MSG_ERROR([include/mpix_layout.h says $mpix_header_version, configure.ac says $PACKAGE_VERSION])])
])
