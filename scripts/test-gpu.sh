#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# On a machine with a GPU, in a build folder with CUDA in which `make all all-programs` has run: the tests that
# otherwise run on the emulated driver, the copy kernel under compute-sanitizer, and measurements.
#
#   test-gpu.sh [--build DIR] [--json DIR] [PART...]
#
#   --build DIR   the build folder (default: the current one); it may have been moved or built on another machine
#   --json DIR    figures also go there, a file for each run
#   --help        this text
#
# Parts, without any all of them, each in minutes and apart from the others:
#   unit                  unit tests of the CUDA side
#   exchanges[:NAME,...]  MPI tests with memory of GPUs; of the programs gpu, exchange, plans, requests, mismatch
#   fortran               streams from Fortran
#   sanitizer             the copy kernel under compute-sanitizer
#   validate[:CASE,...]   every byte that the copy kernel moves, 64 MiB at a time; of kernel_bench's --cases
#   rates[:CASE,...]      rates of the copy kernel; of kernel_bench's --cases
#   rows[:RANKS,...]      exchanges of rows, of 2, 4 and 8 ranks or of those named
#   dispatch[:RANKS,...]  mixture-of-experts dispatch, likewise
#   tests                 unit, exchanges and fortran
#   bench                 validate, rates, rows and dispatch
#
# Ranks that share a GPU take turns on it, unless the Multi-Process Service (MPS) runs their work together: rows and
# dispatch are measured without it and, where there is nvidia-cuda-mps-control, with one that is started for that.
#
# The driver is libcuda.so.1, or what MPIX_LAYOUT_CUDA_DRIVER names; on the emulated one all sizes are small. MPIRUN
# names the launcher. Exits with 1 where something failed, with 2 where an argument is wrong. The last line is the sum:
# N passed, N failed, N skipped.
set -u -o pipefail

source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
scratch=$(mktemp -d) || exit 2
build=. json='' mps='' passed=0 failed=0 skipped=0
declare -a parts=() tests=(unit exchanges fortran) bench=(validate rates rows dispatch)

refuse() { echo "test-gpu.sh: $1; --help tells what there is" >&2; exit 2; }

# check_part PART: refuses one that does not exist, or with something behind the colon that cannot be there.
check_part() {
  local of=,${1#*:},
  [[ $1 == *:* ]] || of=
  case $1 in
    unit | fortran | sanitizer | exchanges | validate | rates | rows | dispatch) ;;
    exchanges:*) [[ $of =~ ^,((gpu|exchange|plans|requests|mismatch),)+$ ]] || refuse "$1: no such program" ;;
    validate:* | rates:*) [[ $of =~ ^,((rows|segments|strided|box|host),)+$ ]] || refuse "$1: no such case" ;;
    rows:* | dispatch:*) [[ $of =~ ^,([1-9][0-9]{0,2},)+$ ]] || refuse "$1: numbers of ranks expected" ;;
    *) refuse "$1: unknown argument" ;;
  esac
}

parse() {
  while (($# > 0)); do
    case $1 in
      --build | --json)
        (($# > 1)) || refuse "$1 needs a directory"
        printf -v "${1#--}" %s "$2"
        shift ;;
      --help) sed -n '/^# On a/,/^set/ { /^set/d; s/^# \{0,1\}//; p }' "${BASH_SOURCE[0]}"; exit 0 ;;
      tests) parts+=("${tests[@]}") ;;
      bench) parts+=("${bench[@]}") ;;
      *) check_part "$1"; parts+=("$1") ;;
    esac
    shift
  done
  ((${#parts[@]} > 0)) || parts=("${tests[@]}" sanitizer "${bench[@]}")
}

# configured NAME: a variable of the build's Makefile.
configured() { sed -n "s/^$1 = //p" Makefile 2>/dev/null; }

# The environment of the programs, which may have been built on another machine: its launcher need not be here, and
# libtool's scripts name folders of that machine.
prepare() {
  export top_srcdir=$source top_builddir=. MPIX_LAYOUT_CUDA_DRIVER=${MPIX_LAYOUT_CUDA_DRIVER:-libcuda.so.1}
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  export LD_LIBRARY_PATH=$PWD/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  MPIRUN=${MPIRUN:-$(configured MPIRUN)}
  [[ -x $(command -v "$MPIRUN") ]] || MPIRUN=$(command -v mpirun || command -v mpiexec)
  MPI_FLAVOR=$(configured MPI_FLAVOR)
  if [[ -z $MPI_FLAVOR && -n $MPIRUN ]] && "$MPIRUN" --version 2>&1 | grep -q 'Open MPI\|OpenRTE'; then
    MPI_FLAVOR=openmpi
  fi
  export MPIRUN MPI_FLAVOR MPIX_TEST_SECONDS=${MPIX_TEST_SECONDS:-120}
  mkdir "$scratch/no-mps"
}

# program FILE: the program that libtool's script FILE stands for.
program() {
  local behind=${1%/*}/.libs/${1##*/}
  if [[ -x $behind ]]; then echo "$behind"; else echo "$1"; fi
}

emulated() { [[ $MPIX_LAYOUT_CUDA_DRIVER == *emulated* ]]; }

# outcome NAME STATUS: counts a test.
outcome() {
  case $2 in
    0) passed=$((passed + 1)) ;;
    77) skipped=$((skipped + 1)); echo "SKIP $1" ;;
    *) failed=$((failed + 1)); echo "FAIL $1 (status $2)" ;;
  esac
}

# figures NAME: sets `to_file` to the option that writes figures there, if they are wanted.
figures() {
  to_file=()
  [[ -z $json ]] || to_file=(--json "$json/$1.json")
}

unit() {
  local test
  for test in device_test device_processes_test; do
    echo "=== unit tests of the CUDA side: $test"
    "$(program "./tests/unit/$test")"
    outcome "$test" $?
  done
}

# exchanges [PROGRAM...]
exchanges() {
  echo "=== MPI tests with memory of GPUs"
  if [[ -z $MPIRUN ]]; then echo "no mpirun"; outcome gpu_exchanges.sh 77; return; fi
  sh "$source/tests/mpi/gpu_exchanges.sh" "$@"
  outcome gpu_exchanges.sh $?
}

fortran() {
  echo "=== streams from Fortran"
  if [[ -z $MPIRUN ]]; then echo "no mpirun"; outcome on_stream.sh 77; return; fi
  sh "$source/tests/fortran/on_stream.sh"
  outcome on_stream.sh $?
}

# sanitized TOOL CHECK: the status of the copy kernel under a check, 77 where the tool cannot work on the GPU.
sanitized() {
  local status
  "$1" --tool "$2" --error-exitcode 9 "$(program ./benchmarks/kernel_bench)" --total 256K --row 16,24,100,1024 \
    -i 1 -x 0 --warmup-time 0 --lead 0 -c 2>&1 | tee "$scratch/sanitizer"
  status=$?
  if grep -q 'Device not supported' "$scratch/sanitizer"; then return 77; fi
  return $status
}

sanitizer() {
  local tool check
  tool=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
  for check in memcheck initcheck; do
    echo "=== the copy kernel under compute-sanitizer, $check"
    if [[ ! -x $tool ]]; then echo "no compute-sanitizer"; outcome "compute-sanitizer $check" 77; continue; fi
    sanitized "$tool" "$check"
    outcome "compute-sanitizer $check" $?
  done
}

# kernel CASES OPTION...: kernel_bench, of those cases where any are named.
kernel() {
  local cases=$1
  shift
  [[ -z $cases ]] || set -- "$@" --cases "${cases// /,}"
  "$(program ./benchmarks/kernel_bench)" "$@"
}

# validate [CASE...]: what is wrong is on the standard error; the rates are of single calls, and not shown.
validate() {
  local total=64M
  if emulated; then total=256K; fi
  echo "=== bytes that the copy kernel moves, compared"
  kernel "$*" --total "$total" -i 1 -x 0 --warmup-time 0 --lead 0 -c >/dev/null
  outcome "validation of the copy kernel" $?
}

# rates [CASE...]
rates() {
  local -a small=() to_file
  if emulated; then small=(--total 256K -i 2 --warmup-time 0 --lead 0); fi
  figures "kernel${*:+-}${*// /-}"
  echo "=== rates of the copy kernel"
  kernel "$*" "${small[@]}" "${to_file[@]}"
  outcome kernel_bench $?
}

# start_mps: a Multi-Process Service of our own. False where there is none or it does not work here.
start_mps() {
  command -v nvidia-cuda-mps-control >/dev/null || { echo "no nvidia-cuda-mps-control"; return 1; }
  mps=$scratch/mps
  mkdir "$mps" "$mps/log"
  if ask_mps -d </dev/null &>"$mps/log/start" && try_mps &>"$mps/log/trial"; then return 0; fi
  echo "MPS does not work here:"
  cat "$mps"/log/*
  stop_mps
  return 1
}

# Whether a program works with our service, and makes it start a server.
try_mps() {
  CUDA_MPS_PIPE_DIRECTORY=$mps timeout 60 "$(program ./benchmarks/kernel_bench)" --cases rows --row 16 --total 64K \
    -i 1 --lead 0 --warmup-time 0 && [[ -n $(echo get_server_list | ask_mps) ]]
}

# ask_mps OPTION...: our service's control program.
ask_mps() {
  CUDA_MPS_PIPE_DIRECTORY=$mps CUDA_MPS_LOG_DIRECTORY=$mps/log timeout 30 nvidia-cuda-mps-control "$@"
}

# Ends the service that start_mps started, and no other.
stop_mps() {
  [[ -n $mps ]] || return 0
  local process
  process=$(cat "$mps/nvidia-cuda-mps-control.pid" 2>/dev/null)
  echo quit | ask_mps &>/dev/null || [[ -z $process ]] || kill "$process"
  rm -rf "$mps"
  mps=
}

# ranks NUMBER PROGRAM OPTION...: under the launcher, with our MPS where that runs, else without any.
ranks() {
  local number=$1 what=$2
  local -a spread=()
  shift 2
  [[ -n $MPIRUN ]] || { echo "no mpirun"; return 77; }
  [[ $MPI_FLAVOR != openmpi ]] || spread=(--map-by slot:OVERSUBSCRIBE --bind-to none)
  CUDA_MPS_PIPE_DIRECTORY=${mps:-$scratch/no-mps} "$MPIRUN" "${spread[@]}" -n "$number" "$(program "$what")" -d cuda \
    --api plan "$@"
}

# shared MEASUREMENT [RANKS...]: MEASUREMENT RANKS LABEL SUFFIX without MPS and, where it works, with it.
shared() {
  local measurement=$1 number
  shift
  (($# > 0)) || set -- 2 4 8
  for number in "$@"; do "$measurement" "$number" "$number ranks, without MPS" "$number"; done
  echo "=== start of MPS"
  if ! start_mps; then
    outcome "${measurement#measure_} with MPS" 77
    return
  fi
  for number in "$@"; do "$measurement" "$number" "$number ranks, with MPS" "$number-mps"; done
  stop_mps
}

measure_rows() {
  local rows=64,256,1024,4096,14336 total=256M checked=64M
  local -a few=() to_file
  if emulated; then rows=64,4096 total=64K checked=64K few=(-i 2 -x 1); fi
  figures "rows-$3"
  echo "=== rows, $2"
  ranks "$1" ./osu_alltoallv_layout --total "$checked" --row "$rows" -i 2 -x 0 -c -M 8G >"$scratch/checked" 2>&1
  local status=$?
  ((status == 0)) || cat "$scratch/checked"
  outcome "rows compared, $2" $status
  ranks "$1" ./osu_alltoallv_layout --total "$total" --row "$rows" -M 8G "${few[@]}" "${to_file[@]}"
  outcome "rows, $2" $?
  echo "=== rows through staging memory of the host, $2"
  figures "staged-$3"
  MPIX_LAYOUT_CUDA_IPC=off ranks "$1" ./osu_alltoallv_layout --total "$checked" --row 4096 -c -M 8G "${few[@]}" \
    "${to_file[@]}"
  outcome "staged, $2" $?
}

measure_dispatch() {
  local rows=1024,4096,14336 tokens=4096 checked=512
  local -a few=() to_file
  if emulated; then rows=1024 tokens=16 checked=16 few=(-i 2 -x 1); fi
  figures "dispatch-$3"
  echo "=== dispatch, $2"
  ranks "$1" ./osu_moe_dispatch --tokens "$checked" --row "$rows" -i 2 -x 0 -c >"$scratch/checked" 2>&1
  local status=$?
  ((status == 0)) || cat "$scratch/checked"
  outcome "dispatch compared, $2" $status
  ranks "$1" ./osu_moe_dispatch --tokens "$tokens" --row "$rows" "${few[@]}" "${to_file[@]}"
  outcome "dispatch, $2" $?
}

rows() { shared measure_rows "$@"; }
dispatch() { shared measure_dispatch "$@"; }

parse "$@"
trap 'stop_mps; rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
if [[ -n $json ]]; then
  mkdir -p "$json" && json=$(cd "$json" && pwd) || exit 2
fi
cd "$build" || exit 2
[[ -d .libs ]] || refuse "$build: no build folder with a library"
prepare
for part in "${parts[@]}"; do
  began=$SECONDS of=
  [[ $part != *:* ]] || of=${part#*:}
  IFS=, read -r -a chosen <<<"$of"
  "${part%%:*}" "${chosen[@]}"
  echo "--- $part: $((SECONDS - began)) s"
done
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
