#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What exchanges make of the network: the bytes that cross it, one and two network interfaces a node, also such that do
# not reach each other, and ranks that die while others count on them.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/exchange.sh"

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
finish
