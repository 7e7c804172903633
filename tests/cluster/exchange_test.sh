#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Exchanges between nodes: the MPI tests on even and uneven nodes by every route, the bytes that cross the
# network, one and two network interfaces a node, also such that do not reach each other, and a rank that dies while
# others count on it.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
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

# wire_bytes NICS RANKS TRAFFIC: what crosses the network is little more than every row once for each node that needs it,
# and the interfaces take in as much as the traffic lets them. Work is shared out by how fast it is done, so the two
# interfaces of a node are level where they are what limits it: on slow links.
wire_bytes() {
  local nics=$1 ranks=$2 traffic=$3 devices= rate=()
  [[ $nics == 1 ]] || { devices='eth0;eth1'; rate=(--rate 500mbit); }
  MPIX_LAYOUT_NET_DEVICES=$devices cluster --nodes 4 --ranks-per-node "$ranks" --nics "$nics" "${rate[@]}" \
    --count -- "$top_builddir/osu_moe_dispatch" --traffic "$traffic" --row 16384 --baseline none -i 4 -x 0 -c
  local status=$?
  # Four exchanges that are timed, and two that are checked. Framing and what the MPI sends take some more.
  local right
  right=$(awk -v status=$status -v nics="$nics" '
    match($0, /unique .row, node. between nodes [0-9]+/) { split(substr($0, RSTART, RLENGTH), w, " "); unique = w[6] }
    /^# node[0-9]+ eth/ { sent += $4; if ($5 > most) most = $5; all += $5; ++n }
    END {
      share = unique > 0 ? sent / (6 * unique) : 0
      level = n > 0 ? most * n / all : 0
      right = status == 0 && n == 4 * nics && share > 0.99 && share < 1.06 && level < 1.25
      print (right ? "yes" : "no") " wire " share " level " level
    }' "$output")
  verdict "$traffic, 4 nodes of $ranks ranks and $nics interfaces: ${right#* }" "${right%% *}"
}

# Lists that are kept while others send parts of what they are of, other ones each time.
helped_plan() {
  MPIX_LAYOUT_TIMEOUT=10 MPIX_LAYOUT_NET_DEVICES='eth0;eth1' cluster --nodes 4 --ranks-per-node 2 --nics 2 --rate 500mbit -- \
    "$top_builddir/osu_moe_dispatch" --api plan --traffic bimodal --row 14336 --baseline none -i 20 -c
  verdict "a plan with helpers" "$([[ $? == 0 ]] && echo yes)"
}

# A rank that hands on what others get dies: the others report it or the launcher ends them; none hangs.
# Launcher and MPI are kept from ending the job, and then the launcher may not end itself.
killed_forwarder() { # route
  local reports=0 job
  OMPI_MCA_orte_enable_recovery=1 OMPI_MCA_mpi_ft_enable=1 MPIX_LAYOUT_ROUTE=$1 MPIX_LAYOUT_TIMEOUT=100 \
    cluster --nodes 2 --ranks-per-node 3 -- "$top_builddir/tests/mpi/crash" killed &
  job=$!
  for _ in {1..60}; do
    sleep 1
    reports=$(grep -c 'MPIX_ERR_PEER' "$output")
    ((reports < 5)) || break
  done
  pkill -TERM -P "$job"
  wait "$job" 2>/dev/null
  [[ $reports == 5 ]] && ! grep -q 'another error' "$output" && verdict "a killed rank, $1: all others report it" yes ||
    verdict "a killed rank, $1: $reports of 5 ranks report it" no
}

emulated=$top_builddir/tests/emulated_cuda/.libs
driver=$emulated/libcuda_emulated.so

# gpu_test ...: mpi_test with buffers in memory of GPUs, if the build has the emulated driver.
gpu_test() {
  [[ -f $driver ]] || return
  MPIX_TEST_GPU=70 MPIX_LAYOUT_CUDA_DRIVER=$(realpath "$driver") mpi_test "$@"
}

# The same with chunks in memory of the GPUs, where the UCX handles that: it must find the driver by its usual name.
gpu_memory_test() {
  [[ -f $driver ]] || return
  local libraries=$work/libraries
  mkdir -p "$libraries"
  ln -sf "$(realpath "$driver")" "$libraries/libcuda.so.1"
  ln -sf "$(realpath "$emulated/libnvml_emulated.so")" "$libraries/libnvidia-ml.so.1"
  under=(env "LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH+:$LD_LIBRARY_PATH}" UCX_TLS=tcp,self,cuda
    MPIX_LAYOUT_NET_GPU_MEMORY=on)
  if "${under[@]}" "MPIX_LAYOUT_CUDA_DRIVER=$driver" "$top_builddir/mpix_layout_info" --transports 2>&1 |
    grep -q 'chunks in GPU memory *offered'; then
    gpu_test "$@"
  else
    echo "not run: this UCX handles no memory of GPUs"
  fi
  under=()
}

mpi_test 2 1 exchange auto
mpi_test 2 2,3 exchange forward
MPIX_LAYOUT_HELPERS=on mpi_test 4 3,1,2,2 exchange forward
MPIX_LAYOUT_HELPERS=on mpi_test 4 3,1,2,2 requests forward
mpi_test 4 2 plans auto
mpi_test 2 3,5 leaving auto
mpi_test 2 3,5 mismatch auto
mpi_test 2 3,2 mismatch forward --size 5
mpi_test 2 2,3 exchange aggregate
mpi_test 4 3,1,2,2 requests aggregate
mpi_test 3 2,1,4 plans aggregate
mpi_test 2 3,2 mismatch aggregate --size 5
gpu_test 2 2,3 exchange forward
gpu_test 2 2,3 exchange aggregate
gpu_test 4 3,1,2,2 gpu auto
gpu_memory_test 2 2,3 exchange direct
gpu_memory_test 4 3,1,2,2 gpu direct
wire_bytes 1 2 uniform
wire_bytes 1 3 one-node
wire_bytes 1 1 skewed
wire_bytes 2 2 bimodal
helped_plan
killed_forwarder forward
killed_forwarder aggregate
# Ranks of which the first of a node cannot reach the second of another by their own devices.
options=(--nics 2 --rails)
export MPIX_LAYOUT_NET_DEVICES='eth0;eth1'
mpi_test 2 2,3 exchange direct
mpi_test 3 2 plans forward
killed_forwarder direct
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
