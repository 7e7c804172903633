#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The MPI tests with buffers in memory of GPUs, and failures of a GPU: on the driver of MPIX_LAYOUT_CUDA_DRIVER, by
# default the emulated one of the build.
#
#   gpu_exchanges.sh [PROGRAM...]   only what runs these programs (gpu, exchange, plans, requests, mismatch)
#
# MPIX_TEST_SECONDS limits each run (default 300).
emulated=$top_builddir/tests/emulated_cuda/.libs/libcuda_emulated.so
if [ -z "$MPIX_LAYOUT_CUDA_DRIVER" ]; then
  [ -f "$emulated" ] || { echo "SKIP: built without CUDA"; exit 77; }
  MPIX_LAYOUT_CUDA_DRIVER=$(realpath "$emulated")
  export MPIX_LAYOUT_CUDA_DRIVER
fi
for program in "$@"; do
  case $program in
  gpu | exchange | plans | requests | mismatch) ;;
  *) echo "gpu_exchanges.sh: '$program' given, gpu, exchange, plans, requests or mismatch expected" >&2; exit 2 ;;
  esac
done
wanted=" $* "
total_passed=0 total_failed=0 total_skipped=0

# variant RANKS PROGRAM [NAME=VALUE...]
variant() {
  ranks=$1 program=$2
  shift 2
  case $wanted in "  " | *" $program "*) ;; *) return ;; esac
  output=$(env MPIX_TEST_GPU=70 "$@" "$top_builddir/scripts/run-mpi-test" -n "$ranks" -t "${MPIX_TEST_SECONDS:-300}" \
    "$top_builddir/tests/mpi/$program.mpi" 2>&1)
  status=$?
  last=$(printf '%s\n' "$output" | grep -E '^[0-9]+ passed, ' | tail -n 1)
  echo "$program on $ranks ranks $*: ${last:-status $status}"
  if [ "$status" != 0 ]; then printf '%s\n' "$output" | grep -v '^PASS\|^SKIP'; fi
  set -- $last
  total_passed=$((total_passed + ${1:-0}))
  total_failed=$((total_failed + $(printf '%s' "${3:-1}" | tr -d ,)))
  total_skipped=$((total_skipped + ${5:-0}))
}

if [ "$MPI_FLAVOR" != openmpi ]; then # little here depends on the MPI, and ranks of others wait without yielding
  variant 2 gpu
  variant 2 plans
else
  variant 5 gpu
  variant 5 exchange
  variant 3 plans
  variant 3 requests
  variant 2 mismatch
  variant 3 exchange MPIX_LAYOUT_CUDA_IPC=off MPIX_LAYOUT_STAGING=64K MPIX_LAYOUT_CHUNK=16K
  variant 3 plans MPIX_LAYOUT_SHM=off
  variant 3 exchange MPIX_LAYOUT_SHM=off
  case $MPIX_LAYOUT_CUDA_DRIVER in
  *emulated*)
    variant 3 exchange EMULATED_CUDA_FAIL=cuMemHostRegister,cuIpcGetMemHandle
    variant 3 exchange EMULATED_CUDA_FAIL=cuIpcOpenMemHandle EMULATED_CUDA_DELAY_US=2000
    variant 3 gpu EMULATED_CUDA_FAIL=cuStreamWaitValue32 EMULATED_CUDA_DELAY_US=0
    ;;
  *) # chunks in GPU memory, if the UCX handles that
    variant 3 plans MPIX_LAYOUT_SHM=off MPIX_LAYOUT_NET_GPU_MEMORY=on
    variant 3 exchange MPIX_LAYOUT_SHM=off MPIX_LAYOUT_NET_GPU_MEMORY=on
    ;;
  esac
fi
echo "$total_passed passed, $total_failed failed, $total_skipped skipped"
[ "$total_failed" = 0 ]
