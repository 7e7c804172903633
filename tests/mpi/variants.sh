#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Exchanges and requests again under settings that choose other ways through the library.
total_passed=0 total_failed=0 total_skipped=0

# variant RANKS PROGRAM NAME=VALUE...
variant() {
  size=$1 program=$2
  shift 2
  output=$(env "$@" "$top_builddir/scripts/run-mpi-test" -t 150 "$top_builddir/tests/mpi/$program.mpi" --size "$size" 2>&1)
  status=$?
  last=$(printf '%s\n' "$output" | grep -E '^[0-9]+ passed, ' | tail -n 1)
  echo "$program --size $size $*: ${last:-status $status}"
  if [ "$status" != 0 ]; then printf '%s\n' "$output" | grep -v '^PASS'; fi
  set -- $last
  total_passed=$((total_passed + ${1:-0}))
  total_failed=$((total_failed + $(printf '%s' "${3:-1}" | tr -d ,)))
  total_skipped=$((total_skipped + ${5:-0}))
}

sizes="3 8"
[ "$MPI_FLAVOR" = openmpi ] || sizes=3 # the ranks of other MPIs wait without yielding
for size in $sizes; do
  variant $size exchange MPIX_LAYOUT_STAGING=64K MPIX_LAYOUT_CHUNK=16K MPIX_LAYOUT_ATTACH=off MPIX_LAYOUT_MAPPED=off
  variant $size requests MPIX_LAYOUT_STAGING=64K MPIX_LAYOUT_CHUNK=4K
done
variant 3 requests MPIX_TEST_THREAD_MULTIPLE=1 MPIX_LAYOUT_PROGRESS=thread
variant 3 exchange MPIX_LAYOUT_SHM=off
variant 3 requests MPIX_LAYOUT_SHM=off
if [ "$MPI_FLAVOR" = openmpi ]; then # what follows does not depend on the MPI
  variant 3 exchange MPIX_LAYOUT_ATTACH=on MPIX_LAYOUT_ATTACH_BLOCK=1
  variant 3 exchange MPIX_LAYOUT_KERNELS=portable MPIX_LAYOUT_STREAMING=0
  variant 2 exchange MPIX_LAYOUT_STREAMING=0 MPIX_LAYOUT_MAPPED=off MPIX_LAYOUT_ATTACH=off
  variant 3 exchange MPIX_LAYOUT_CHECK=full
  variant 3 requests MPIX_LAYOUT_ATTACH=on MPIX_LAYOUT_ATTACH_BLOCK=1
  variant 3 mismatch MPIX_LAYOUT_SHM=off
  variant 2 plans MPIX_LAYOUT_SHM=off
fi
echo "$total_passed passed, $total_failed failed, $total_skipped skipped"
[ "$total_failed" = 0 ]
