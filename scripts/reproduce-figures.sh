#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Runs the measurements behind the README's figures and prints each table under the command that made it.
#
#   reproduce-figures.sh [--build DIR] [--json DIR] [--quick] [FIGURE...]
#
#   rows-malloc  random rows of 64 B to 14 KiB, 64 MiB a rank, 2 ranks, ordinary memory
#   rows-alloc   the same in memory from MPIX_Layout_mem_alloc
#   fft          transposes of 256^3 and 512x512x64 points, 2 and 4 ranks
#   small        8 B to 1 KiB a peer, one-shot and planned, 2 ranks
#   network      rows of 4 KiB between two nodes of the namespace cluster, unshaped and at 500 Mbit/s, and 2 KiB
#                to 2 MiB a peer, unshaped
#   moe          dispatch of rows of 4 and 14 KiB on 4 nodes of 2 ranks at 500 Mbit/s, one and two interfaces a
#                node, of 64 B to 4 KiB unshaped, and of 64 B to 14 KiB inside one node
#   routes       the same traffic, few tokens, then rows of 32 B to 4 KiB unshaped and 64 B to 16 KiB at 500 Mbit/s,
#                and short messages on 4 nodes of 8 ranks: the chosen route beside the direct one
#   setup        time to plan an exchange of a million rows of 64 B
#
# All of them without a FIGURE. Without --build the programs are those below the current directory. --quick
# makes a few iterations only, to see that everything works. Exits with 1 where a measurement failed; the
# cluster's is skipped visibly where namespaces cannot be made.
set -u -o pipefail

source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=. json= quick=no failed=0
declare -a figures=() extra=()
MPIRUN=${MPIRUN:-mpirun}

usage() { sed -n 's/^# \{0,1\}//; 4,22p' "${BASH_SOURCE[0]}"; }

parse() {
  while (($# > 0)); do
    case $1 in
      --build | --json)
        (($# > 1)) || { echo "$1 needs a directory" >&2; exit 2; }
        printf -v "${1#--}" %s "$2"
        shift ;;
      --quick) quick=yes ;;
      --help) usage; exit 0 ;;
      rows-malloc | rows-alloc | fft | small | network | moe | routes | setup) figures+=("$1") ;;
      *) echo "$1: unknown argument" >&2; usage >&2; exit 2 ;;
    esac
    shift
  done
  ((${#figures[@]} > 0)) || figures=(rows-malloc rows-alloc fft small network moe routes setup)
  bench=$build/osu_alltoallv_layout
  [[ -x $bench ]] || { echo "$bench is missing: run make there, or name the build with --build" >&2; exit 2; }
  [[ -z $json ]] || mkdir -p "$json" || exit 2
}

# Options that start `ranks` ranks: pinned where each has a core, else free to share them.
launch() {
  local ranks=$1 binding=none
  ((ranks <= $(nproc))) && binding=core
  if "$MPIRUN" --version 2>&1 | grep -q 'Open MPI\|OpenRTE'; then
    launcher=("$MPIRUN" -n "$ranks" --map-by slot:OVERSUBSCRIBE --bind-to "$binding")
  else
    launcher=("$MPIRUN" -n "$ranks" -bind-to "$binding")
  fi
}

# Prints and runs: show NAME COMMAND...
show() {
  local name=$1 status
  shift
  local -a command=("$@" ${extra[@]+"${extra[@]}"})
  [[ -z $json ]] || command+=(--json "$json/$name.json")
  printf '\n$ %s\n' "${command[*]}"
  timeout 900 "${command[@]}" 2>&1 | tee "$output"
  status=$?
  if ((status != 0 && status != 77)); then
    echo "$name: failed with status $status" >&2
    failed=1
  fi
  return "$status"
}

rows() { # malloc or alloc
  launch 2
  show "rows-$1" "${launcher[@]}" "$bench" --total 64M --row 64,256,1024,4096,14336 --memory "$1" --api plan -c
}

fft() {
  local ranks
  for ranks in 2 4; do
    launch "$ranks"
    show "fft-$ranks" "${launcher[@]}" "$bench" --pattern fft --grid 256x256x256,512x512x64 --api plan -c
  done
}

small() {
  local api
  launch 2
  for api in oneshot plan; do
    show "small-$api" "${launcher[@]}" "$bench" -m 8:1024 --row 64 --api "$api" --baseline packed,datatypes,alltoallv -c
  done
}

network() {
  local -a cluster=("$source/tests/cluster/cluster" run --nodes 2 --ranks-per-node 1)
  show network-unshaped "${cluster[@]}" -- "$bench" --total 64M --row 4096 --api plan --baseline packed,datatypes -c
  show network-sizes "${cluster[@]}" -- "$bench" -m 2048:2097152 --row 64 --api plan --baseline packed,datatypes -c
  show network-500mbit "${cluster[@]}" --rate 500mbit -- "$bench" --total 16M --row 4096 --api plan -i 10 \
    --baseline packed,datatypes -c || return
  # Half of what a rank sends crosses the link: column 1 is that half in bytes, column 3 the time in us.
  awk '/^[0-9]/ { printf "# Share of the 500 Mbit/s: %.3f\n", $1 / $3 / 62.5 }' "$output"
}

moe() {
  local -a cluster=("$source/tests/cluster/cluster" run --nodes 4 --ranks-per-node 2 --rate 500mbit)
  local dispatch=$build/osu_moe_dispatch
  show moe-nodes "${cluster[@]}" -- "$dispatch" --traffic uniform,skewed,one-node,bimodal --row 4096,14336 \
    --link-rate 62.5M -c
  MPIX_LAYOUT_NET_DEVICES='eth0;eth1' show moe-two-nics "${cluster[@]}" --nics 2 -- "$dispatch" \
    --traffic bimodal,uniform --row 4096,14336 --link-rate 125M -c
  show moe-unshaped "$source/tests/cluster/cluster" run --nodes 4 --ranks-per-node 2 -- "$dispatch" --api plan \
    --traffic uniform,one-node,bimodal --row 64,256,1024,4096 -i 100 -c
  launch 2
  show moe-inside "${launcher[@]}" "$dispatch" --tokens 4096 --row 64,256,1024,4096,14336 -c
}

# The chosen route beside the direct one, which take turns in one run.
routes() {
  local -a cluster=("$source/tests/cluster/cluster" run --nodes 4)
  local -a traffic=("$build/osu_moe_dispatch" --traffic uniform,skewed,one-node,bimodal --baseline direct)
  local tokens
  for tokens in 1 8 32; do
    show "routes-$tokens-tokens" "${cluster[@]}" --ranks-per-node 2 -- "${traffic[@]}" --api plan \
      --tokens "$tokens" --row 64,256,1024 -i 2000 -x 100
  done
  show routes-unshaped "${cluster[@]}" --ranks-per-node 2 -- "${traffic[@]}" --api plan \
    --row 32,64,96,128,256,1024,4096 -i 400 -x 50
  show routes-unshaped-2-nodes "$source/tests/cluster/cluster" run --nodes 2 --ranks-per-node 4 -- "${traffic[@]}" \
    --api plan --row 32,64,96,128,256,1024,4096 -i 400 -x 50
  show routes-moe "${cluster[@]}" --ranks-per-node 2 --rate 500mbit -- "${traffic[@]}" --api plan \
    --row 64,256,1024,4096,16384 -i 8
  show routes-small "${cluster[@]}" --ranks-per-node 8 -- \
    "$bench" --api plan -m 64:4096 --row 64 --baseline direct -i 200
}

setup() {
  launch 2
  show setup "${launcher[@]}" "$bench" --total 64M --row 64 --api plan -f -i 3 --baseline none
}

parse "$@"
[[ $quick == no ]] || extra=(-i 3 -x 1)
# Open MPI refuses to run as root, as in a container, unless it is told twice.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
output=$(mktemp) || exit 1
trap 'rm -f "$output"' EXIT
echo "# $(uname -n): $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), $(nproc) cores; $(date -u +%F)"
for figure in "${figures[@]}"; do
  case $figure in
    rows-*) rows "${figure#rows-}" ;;
    *) "$figure" ;;
  esac
done
exit "$failed"
