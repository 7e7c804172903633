#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# usage: scripts/test-all.sh [FOLDER]
# On Debian 12: installs what is missing, then builds and tests everything below FOLDER (build-test by default):
# with Open MPI from the checkout, with MPICH from the release's tarball (make distcheck), unit tests with sanitizers,
# the installed copies. The last line is the sum: N passed, N failed, N skipped.
set -uo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
work=${1:-$top/build-test}
jobs=$(nproc)
# Tests wait a good part of their time.
test_jobs=$((jobs + 1))
export OMPI_MCA_btl_base_warn_component_unused=0

passed=0
failed=0
skipped=0
failures=()

# step NAME COMMAND...: runs it; a failure counts as one failed test.
step() {
  local name=$1
  shift
  echo "=== $name (at $((SECONDS - start)) s)"
  if "$@"; then return 0; fi
  failed=$((failed + 1))
  failures+=("$name")
  return 1
}

# checked_step NAME COMMAND...: a step that counts as one passed test as well.
checked_step() {
  if step "$@"; then passed=$((passed + 1)); fi
}

# configure_in FOLDER OPTION...: configures afresh in $work/FOLDER.
configure_in() {
  local folder=$work/$1
  shift
  rm -rf "$folder"
  mkdir -p "$folder" && cd "$folder" && "$top/configure" --enable-werror --prefix="$folder/installed" "$@"
}

make_in() {
  local folder=$work/$1
  shift
  make -C "$folder" "$@"
}

# logged COMMAND...: runs it; what it prints is in $work/log as well.
logged() {
  "$@" 2>&1 | tee "$work/log"
  return "${PIPESTATUS[0]}"
}

# tests FOLDER TARGET [VARIABLE=VALUE]: runs tests and adds up what automake says of them in the end.
tests() {
  local folder=$1 target=$2 before=$failed result count
  shift
  step "$folder: make $target" logged make_in "$folder" -j"$test_jobs" "$@" VERBOSE=1
  local status=$?
  [ $status = 0 ] || failed=$before
  while read -r result count; do
    case $result in
      PASS | XFAIL) passed=$((passed + count)) ;;
      SKIP) skipped=$((skipped + count)) ;;
      *) failed=$((failed + count)) ;;
    esac
  done < <(sed -n 's/^# \([A-Z]*\): *\([0-9]*\)$/\1 \2/p' "$work/log" | grep -v TOTAL | tail -n 6)
  # Something other than a test went wrong.
  if [ $status != 0 ] && [ "$failed" = "$before" ]; then failed=$((failed + 1)); fi
}

# With Open MPI, from the checkout.
checkout() {
  step "openmpi: configure" configure_in openmpi CC=mpicc.openmpi CXXFLAGS=-g0 || return
  step "openmpi: make" make_in openmpi -j"$jobs" || return
  step "openmpi: make the tests" make_in openmpi -j"$jobs" all-programs || return
  tests openmpi check
  checked_step "openmpi: make install" make_in openmpi install DESTDIR="$work/stage"
  checked_step "openmpi: make installcheck" make_in openmpi installcheck DESTDIR="$work/stage"
}

# With MPICH, from the tarball that a user gets: distcheck makes it, builds and tests in it, installs and removes.
release() {
  tests openmpi distcheck-mpi AM_DISTCHECK_CONFIGURE_FLAGS='CC=mpicc.mpich --enable-werror CXXFLAGS=-g0'
}

# sanitized FOLDER OPTIONS [TEST...]: these unit tests, or all, configured with these options.
sanitized() {
  local folder=$1
  local -a options
  read -ra options <<<"$2"
  shift 2
  step "$folder: configure" configure_in "$folder" --disable-fortran "${options[@]}" || return
  step "$folder: make the unit tests" make_in "$folder" -j"$jobs" unit-programs ${1+"UNIT_TESTS=$*"} || return
  tests "$folder" check-unit ${1+"UNIT_TESTS=$*"}
}

main() {
  step "set up" sh "$top/scripts/setup-debian.sh" || return
  step "autogen" "$top/autogen.sh" || return
  mkdir -p "$work"

  checkout && release
  sanitized sanitize-address --enable-sanitizers=address,undefined
  # The tests that have threads.
  sanitized sanitize-thread '--enable-sanitizers=thread --without-cuda' \
    tests/unit/ucx_transport_test tests/engine/engine_test
}

start=$SECONDS
main
echo "=== $((SECONDS - start)) seconds"
for name in "${failures[@]}"; do echo "failed: $name"; done
if [ $((passed + failed)) = 0 ]; then failed=1; fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
