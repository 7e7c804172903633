# SPDX-License-Identifier: BSD-3-Clause
# For scripts that run tests/mpi/crash: sourced. Every run must end by itself, and leave nothing behind.
program=$top_builddir/tests/mpi/crash
work=$(mktemp -d) || exit 99
output=$work/output
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
ulimit -c 0

fail() {
  echo "FAILURE: $*"
  sed 's/^/  | /' "$output"
  failed=$((failed + 1))
}

# What is in /dev/shm, without what the MPI puts there itself and may leave behind when killed.
list_shm() {
  ls -A /dev/shm | grep -Ev '^(vader_segment|sm_segment|mpich|shm_mpich|psm|ompi|osc|prte|pmix|ucx_shm)' | sort
}

# Whether ranks of this script's are there; others may run the same program.
ranks_left() {
  for process in $(pgrep -x crash); do
    grep -qsz "^MPIX_TEST_RUN=$$\$" "/proc/$process/environ" && return
  done
  return 1
}

# run_crash RANKS ARGUMENT...
run_crash() {
  ranks=$1
  shift
  list_shm > "$work/before"
  MPIX_TEST_RUN=$$ MPIX_LAYOUT_TIMEOUT=30 "$top_builddir/scripts/run-mpi-test" -n "$ranks" -t 60 "$program" "$@" > "$output" 2>&1
  status=$?
  if [ "$status" = 77 ]; then
    cat "$output"
    exit 77
  fi
  if grep -q '^HANG' "$output"; then fail "$*: hangs"; fi
  sleep 1
  list_shm > "$work/after"
  if ! cmp -s "$work/before" "$work/after"; then
    fail "$*: /dev/shm changed: $(diff "$work/before" "$work/after" | tr '\n' ' ')"
  fi
  if ranks_left; then fail "$*: processes remain"; fi
  passed=$((passed + 1))
}

expect_failure() {
  if [ "$status" = 0 ]; then fail "$1: the job succeeded"; else echo "PASS $1"; fi
}

expect_output() {
  if ! grep -q "$1" "$output"; then fail "\"$1\" is missing in the output"; fi
}

expect_no_output() {
  if grep -q "$1" "$output"; then fail "\"$1\" in the output"; fi
}

finish() {
  echo "$((passed - failed)) passed, $failed failed, 0 skipped"
  [ "$failed" = 0 ]
  exit
}
