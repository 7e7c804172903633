# SPDX-License-Identifier: BSD-3-Clause
# MPIX_CHECK_GTEST
# GoogleTest, for the unit tests; without it they are skipped. Sets GTEST_CFLAGS, GTEST_LIBS.
AC_DEFUN([MPIX_CHECK_GTEST], [
mpix_gtest=no
PKG_CHECK_MODULES([GTEST], [gtest_main gmock], [mpix_gtest=yes], [
  AC_MSG_WARN([GoogleTest was not found; unit tests will be skipped. On Debian: apt-get install libgtest-dev libgmock-dev])])
AM_CONDITIONAL([GTEST], [test "$mpix_gtest" = yes])
])
