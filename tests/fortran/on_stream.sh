#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Exchanges on a CUDA stream, started from Fortran: on the driver of MPIX_LAYOUT_CUDA_DRIVER, by default the emulated
# one of the build.
emulated=$top_builddir/tests/emulated_cuda/.libs/libcuda_emulated.so
if [ -z "$MPIX_LAYOUT_CUDA_DRIVER" ]; then
  [ -f "$emulated" ] || { echo "SKIP: built without CUDA"; exit 77; }
  MPIX_LAYOUT_CUDA_DRIVER=$(realpath "$emulated")
  export MPIX_LAYOUT_CUDA_DRIVER
fi
failed=0
for program in on_stream_f08 on_stream_f90; do
  [ -x "$top_builddir/tests/fortran/$program.mpi" ] || { echo "SKIP: built without Fortran"; exit 77; }
  for ranks in 1 3; do
    echo "$program on $ranks ranks"
    "$top_builddir/scripts/run-mpi-test" -n $ranks -t 120 "$top_builddir/tests/fortran/$program.mpi" 2>&1 || failed=1
  done
done
exit $failed
