# SPDX-License-Identifier: BSD-3-Clause
# For scripts that run programs on clusters, one after the other: sourced. `here` is this folder.
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
output=$work/output
: >"$output"
passed=0 failed=0 skipped=0
ulimit -c 0

if [[ $MPI_FLAVOR != openmpi ]]; then
  echo "SKIP: the cluster's launcher is Open MPI's"
  exit 77
fi

options=() # of the cluster, for all that follows
under=()   # a command that starts the tests
cluster() { timeout --kill-after=10 200 "$here/cluster" run "${options[@]}" "$@" >"$output" 2>&1; }

verdict() { # what, whether it is right
  if [[ $2 == yes ]]; then
    echo "PASS $1"
    ((++passed))
  else
    echo "FAIL $1"
    tail -n 30 "$output" | sed 's/^/  | /'
    ((++failed))
  fi
}

# mpi_test NODES RANKS-PER-NODE PROGRAM ROUTE [OPTION...]: all its tests; those that want fewer ranks run on the first.
mpi_test() {
  local nodes=$1 ranks=$2 program=$3 route=$4 status last
  shift 4
  MPIX_LAYOUT_ROUTE=$route cluster --nodes "$nodes" --ranks-per-node "$ranks" -- \
    "${under[@]}" "$top_builddir/tests/mpi/$program.mpi" "$@"
  status=$?
  ((status == 77)) && { cat "$output"; exit 77; }
  last=$(grep -E '^[0-9]+ passed, ' "$output" | tail -n 1)
  [[ $status == 0 && $last == [1-9]*", 0 failed"* ]] && verdict "$program on $nodes nodes ($ranks), $route: $last" yes ||
    verdict "$program on $nodes nodes ($ranks), $route: status $status" no
  skipped=$((skipped + $(sed -n 's/.* \([0-9]*\) skipped/\1/p' <<<"${last:- 0 skipped}")))
}

finish() {
  echo "$passed passed, $failed failed, $skipped skipped"
  ((failed == 0))
  exit
}
