#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# usage: scripts/test-all.sh [FOLDER]
# On Debian 12: installs what is missing, then builds and tests everything below FOLDER (build-test by default):
# with Open MPI from the checkout, with MPICH from the release's tarball, unit tests with sanitizers, the installed
# copies, make distcheck. The last line is the sum: N passed, N failed, N skipped.
set -uo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
work=${1:-$top/build-test}
jobs=$(nproc)
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

# configure_in FOLDER SOURCE OPTION...: configures afresh in $work/FOLDER.
configure_in() {
  local folder=$work/$1 source=$2
  shift 2
  rm -rf "$folder"
  mkdir -p "$folder" && cd "$folder" && "$source/configure" --enable-werror --prefix="$folder/installed" "$@"
}

make_in() {
  local folder=$work/$1
  shift
  make -C "$folder" "$@"
}

# tests FOLDER TARGET [VARIABLE=VALUE]: runs the tests, which wait a good part of their time, as many at once as there
# are processors, and counts what automake recorded of each.
tests() {
  local folder=$1 target=$2 before=$failed result
  shift
  step "$folder: make $target" make_in "$folder" -j"$jobs" "$@" VERBOSE=1
  local status=$?
  [ $status = 0 ] || failed=$before
  while read -r result; do
    case $result in
      PASS | XFAIL) passed=$((passed + 1)) ;;
      SKIP) skipped=$((skipped + 1)) ;;
      *) failed=$((failed + 1)) ;;
    esac
  done < <(find "$work/$folder" -name '*.trs' -exec sed -n 's/^:test-result: *\([A-Z]*\).*/\1/p' {} +)
  # Something other than a test went wrong.
  if [ $status != 0 ] && [ "$failed" = "$before" ]; then failed=$((failed + 1)); fi
}

# suite FOLDER SOURCE COMPILER PROGRAMS CHECK: builds for one MPI, then the test programs by target PROGRAMS, and
# runs the tests by target CHECK; fails where it cannot be built.
suite() {
  local folder=$1
  step "$folder: configure" configure_in "$folder" "$2" "$3" || return
  step "$folder: make" make_in "$folder" -j"$jobs" || return
  step "$folder: make the tests" make_in "$folder" -j"$jobs" "$4" || return
  tests "$folder" "$5"
  return 0
}

# sanitized FOLDER LIST [TEST...]: these unit tests, or all, with one set of sanitizers.
sanitized() {
  local folder=$1 list=$2
  shift 2
  step "$folder: configure" configure_in "$folder" "$top" --disable-fortran "--enable-sanitizers=$list" || return
  step "$folder: make the unit tests" make_in "$folder" -j"$jobs" unit-programs ${1+"UNIT_TESTS=$*"} || return
  tests "$folder" check-unit ${1+"UNIT_TESTS=$*"}
}

# The tarball, unpacked; the tests in it run with MPICH.
unpack() {
  local tarball
  tarball=$(echo "$work"/openmpi/mpix-layout-*.tar.gz)
  rm -rf "$work/release" && mkdir -p "$work/release" && tar -xzf "$tarball" -C "$work/release" --strip-components=1
}

main() {
  step "set up" sh "$top/scripts/setup-debian.sh" || return
  step "autogen" "$top/autogen.sh" || return
  mkdir -p "$work"

  if suite openmpi "$top" CC=mpicc.openmpi all-programs check; then
    checked_step "openmpi: make install" make_in openmpi install
    checked_step "openmpi: make installcheck" make_in openmpi installcheck
    # Its programs of several ranks are those that just ran, so only the checks of the sources run again.
    checked_step "openmpi: make distcheck" make_in openmpi -j"$jobs" distcheck-brief \
      DISTCHECK_CONFIGURE_FLAGS=--enable-debug
  fi

  if step "mpich: unpack the release" unpack &&
    suite mpich "$work/release" CC=mpicc.mpich mpi-programs check-mpi; then
    checked_step "mpich: make install DESTDIR" make_in mpich install DESTDIR="$work/mpich/stage"
    checked_step "mpich: make installcheck DESTDIR" make_in mpich installcheck DESTDIR="$work/mpich/stage"
  fi

  sanitized sanitize-address address,undefined
  # The tests that have threads.
  sanitized sanitize-thread thread tests/unit/ucx_transport_test tests/engine/engine_test
}

start=$SECONDS
main
echo "=== $((SECONDS - start)) seconds"
for name in "${failures[@]}"; do echo "failed: $name"; done
if [ $((passed + failed)) = 0 ]; then failed=1; fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
