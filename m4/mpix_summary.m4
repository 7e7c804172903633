# SPDX-License-Identifier: BSD-3-Clause
# MPIX_SUMMARY
# What configure found, at its end.
AC_DEFUN([MPIX_SUMMARY], [
AC_MSG_NOTICE([

mpix-layout $PACKAGE_VERSION
  prefix        $prefix
  compilers     CC=$CC CXX=$CXX FC=$FC
  MPI           $mpix_mpi_version (launcher: ${MPIRUN:-none})
  UCX           $mpix_ucx_version
  hwloc         $mpix_hwloc_version
  CUDA          $mpix_cuda_summary
  Fortran       $mpix_fortran
  kernels       $mpix_kernels
  sanitizers    $mpix_sanitizers
  GoogleTest    $mpix_gtest
  FFTW          $mpix_fftw (example only)
])
])
