#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The cluster itself: nodes, interfaces, exit status, and that nothing stays behind.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work
failures=0

check() { # what, expected, found
  [[ $2 == "$3" ]] && return
  echo "FAIL: $1: expected '$2', found '$3'"
  ((++failures))
}

wait_gone() { # what, command that fails once it is gone
  local _
  for _ in {1..50}; do
    "${@:2}" || return 0
    sleep 0.1
  done
  echo "FAIL: $1 stayed behind"
  ((++failures))
}

directories_left() { compgen -G "$work/mpix-cluster.*" >/dev/null; }
running() { pgrep -fx "sleep 98[.]$$" >/dev/null; }
start_sleeping() { # sets cluster to its process; returns once the program runs
  setsid "$here/cluster" run --nodes 2 -- sleep "98.$$" >/dev/null 2>&1 &
  cluster=$!
  for _ in {1..100}; do
    running && return
    sleep 0.1
  done
}
processes_left() { # those that a cluster started have its TMPDIR
  local environment
  for environment in /proc/[0-9]*/environ; do grep -qsz "^TMPDIR=$work" "$environment" && return; done
  return 1
}

out=$(timeout 60 "$here/cluster" run --nodes 3 --ranks-per-node 2,1,1 -- hostname)
status=$?
((status == 77)) && exit 77
check "status" 0 "$status"
check "host names" "node0 node0 node1 node2" "$(sort <<<"$out" | paste -s -d' ')"

out=$(timeout 60 "$here/cluster" run --nodes 2 --nics 2 -- sh -c 'echo $(ls /sys/class/net)')
for device in eth0 eth1 lo; do check "interface $device" 2 "$(grep -cw $device <<<"$out")"; done

out=$(timeout 60 "$here/cluster" run --nodes 2 -- sh -c 'touch /dev/shm/here; sleep 0.5; ls /dev/shm/here; hostname')
check "own /dev/shm" 2 "$(grep -c /dev/shm/here <<<"$out")"
[[ ! -e /dev/shm/here ]] || { echo "FAIL: /dev/shm is not the node's own"; ((++failures)); }

# Nodes in sessions of their own starve each other (cluster says why).
out=$(timeout 60 "$here/cluster" run --nodes 3 --ranks-per-node 2,1,1 -- cut -d ' ' -f 6 /proc/self/stat)
check "ranks in one session" "4 of 1" "$(wc -l <<<"$out") of $(sort -u <<<"$out" | wc -l)"

timeout 60 "$here/cluster" run --nodes 2 -- sh -c 'exit 7' >/dev/null 2>&1
check "status of the program" 7 $?
timeout 60 "$here/cluster" run --nodes 2 --timeout 1 -- sleep 30 >/dev/null 2>&1
check "status after --timeout" 124 $?

# While the program runs.
for signal in TERM KILL; do
  start_sleeping
  kill -"$signal" "$cluster"
  wait "$cluster" 2>/dev/null
  wait_gone "a process after SIG$signal" processes_left
  wait_gone "a directory after SIG$signal" directories_left
done

# All of its processes, as a terminal or timeout do it, but for the launched ones.
start_sleeping
kill -KILL $(pgrep -fx 'sleep infinity' -g "$cluster")
kill -TERM "$cluster"
wait "$cluster" 2>/dev/null
wait_gone "a process after SIGKILL for the nodes" processes_left
wait_gone "a directory after SIGKILL for the nodes" directories_left

# At any time while the nodes are made and the launcher starts.
for hundredths in 01 03 06 10 15 20 30 40 55 70; do
  setsid "$here/cluster" run --nodes 3 -- sleep "98.$$" >/dev/null 2>&1 &
  cluster=$!
  sleep "0.$hundredths"
  kill -KILL "$cluster"
  wait "$cluster" 2>/dev/null
done
wait_gone "a process after SIGKILL at the start" processes_left
wait_gone "a directory after SIGKILL at the start" directories_left

((failures == 0)) && echo "all passed"
exit $((failures > 0))
