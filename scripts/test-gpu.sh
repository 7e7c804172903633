#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# On a machine with a GPU, below a build folder with CUDA whose tests have been built (make all-programs): the tests
# that otherwise run on the emulated driver, the copy kernel under compute-sanitizer, and the measurements.
#
#   test-gpu.sh [--build DIR] [--json DIR] [tests|sanitizer|bench...]
#
# Everything without a name. The driver is libcuda.so.1, or what MPIX_LAYOUT_CUDA_DRIVER names. Exits with 1 where
# something failed. The last line of the tests is the sum: N passed, N failed, N skipped.
set -u -o pipefail

source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=. json= passed=0 failed=0 skipped=0
declare -a parts=()
while (($# > 0)); do
  case $1 in
    --build | --json)
      (($# > 1)) || { echo "$1 needs a directory" >&2; exit 2; }
      printf -v "${1#--}" %s "$2"
      shift ;;
    --help) sed -n 's/^# \{0,1\}//; 4,12p' "${BASH_SOURCE[0]}"; exit 0 ;;
    tests | sanitizer | bench) parts+=("$1") ;;
    *) echo "$1: unknown argument; --help tells what there is" >&2; exit 2 ;;
  esac
  shift
done
((${#parts[@]} > 0)) || parts=(tests sanitizer bench)
[[ -z $json ]] || mkdir -p "$json" || exit 2
cd "$build" || exit 2
export top_srcdir=$source top_builddir=. MPIX_LAYOUT_CUDA_DRIVER=${MPIX_LAYOUT_CUDA_DRIVER:-libcuda.so.1}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

# outcome NAME STATUS: counts a test.
outcome() {
  case $2 in
    0) passed=$((passed + 1)) ;;
    77) skipped=$((skipped + 1)) ;;
    *) failed=$((failed + 1)); echo "FAIL $1 (status $2)" ;;
  esac
}

# named FILE: an option that writes figures there, if they are wanted.
named() { [[ -z $json ]] || echo "--json $json/$1.json"; }

tests() {
  echo "=== unit tests of the CUDA side"
  ./tests/unit/device_test
  outcome device_test $?
  echo "=== MPI tests with memory of GPUs"
  sh "$source/tests/mpi/gpu_exchanges.sh"
  outcome gpu_exchanges.sh $?
  echo "=== streams from Fortran"
  sh "$source/tests/fortran/on_stream.sh"
  outcome on_stream.sh $?
}

sanitizer() {
  local tool
  tool=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
  echo "=== the copy kernel under compute-sanitizer"
  [[ -x $tool ]] || { echo "SKIP: no compute-sanitizer"; outcome compute-sanitizer 77; return; }
  local check
  for check in memcheck initcheck; do
    "$tool" --tool "$check" --error-exitcode 9 ./benchmarks/kernel_bench --total 256K --row 16,24,100,1024 -i 1 -x 0 -c
    outcome "compute-sanitizer $check" $?
  done
}

bench() {
  local ranks
  echo "=== rates of the copy kernel"
  # shellcheck disable=SC2046
  ./benchmarks/kernel_bench -c $(named kernel)
  outcome kernel_bench $?
  for ranks in 2 4 8; do
    echo "=== exchanges of $ranks ranks"
    # shellcheck disable=SC2046
    "${MPIRUN:-mpirun}" --map-by slot:OVERSUBSCRIBE --bind-to none -n "$ranks" ./osu_alltoallv_layout -d cuda --api plan \
      --total 256M -M 8G --row 64,256,1024,4096,14336 -c $(named "rows-$ranks")
    outcome "rows, $ranks ranks" $?
    MPIX_LAYOUT_CUDA_IPC=off "${MPIRUN:-mpirun}" --map-by slot:OVERSUBSCRIBE --bind-to none -n "$ranks" \
      ./osu_alltoallv_layout -d cuda --api plan --total 64M -M 8G --row 4096 -c
    outcome "staged, $ranks ranks" $?
    # shellcheck disable=SC2046
    "${MPIRUN:-mpirun}" --map-by slot:OVERSUBSCRIBE --bind-to none -n "$ranks" ./osu_moe_dispatch -d cuda --api plan \
      --tokens 4096 --row 1024,4096,14336 -c $(named "dispatch-$ranks")
    outcome "dispatch, $ranks ranks" $?
  done
}

for part in "${parts[@]}"; do "$part"; done
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
