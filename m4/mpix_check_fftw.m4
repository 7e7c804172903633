# SPDX-License-Identifier: BSD-3-Clause
# MPIX_CHECK_FFTW
# FFTW 3 in double precision, for the FFT example; the library does not use it. Sets FFTW_CFLAGS, FFTW_LIBS.
AC_DEFUN([MPIX_CHECK_FFTW], [
mpix_fftw=no
PKG_CHECK_MODULES([FFTW], [fftw3], [mpix_fftw=yes], [
  AC_MSG_WARN([FFTW was not found; examples/fft3d will not be built. On Debian: apt-get install libfftw3-dev])])
AM_CONDITIONAL([FFTW], [test "$mpix_fftw" = yes])
])
