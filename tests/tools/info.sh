# SPDX-License-Identifier: BSD-3-Clause
# mpix_layout_info: its parts, the origin of values, bad values, one output under a launcher.
info=$top_builddir/mpix_layout_info
fail() {
  echo "failed: $1"
  exit 1
}
expect() { # a pattern in the output of the command
  pattern=$1
  shift
  "$@" 2>&1 | grep -q -- "$pattern" || fail "'$pattern' in the output of: $*"
}

for variable in $(env | sed -n 's/^\(MPIX_LAYOUT_[A-Z_]*\)=.*/\1/p'); do unset "$variable"; done
"$info" >/dev/null || fail "exit status without options"
for part in Build Configuration Topology "Transports inside a node" "Transports between nodes"; do
  expect "^$part$" "$info"
done
expect "^usage: mpix_layout_info" "$info" --help
expect "^mpix-layout [0-9.]*$" "$info" --version
expect "MPIX_LAYOUT_TIMEOUT = 600  \[default\]" "$info" --config
expect "MPIX_LAYOUT_TIMEOUT = 7  \[environment\]" env MPIX_LAYOUT_TIMEOUT=7 "$info" --config
expect "MPIX_LAYOUT_NOTHING = 1  \[UNKNOWN" env MPIX_LAYOUT_NOTHING=1 "$info" --config
expect "MPIX_LAYOUT_CHUNK=3x: expected bytes" env MPIX_LAYOUT_CHUNK=3x "$info" --config
MPIX_LAYOUT_CHUNK=3x "$info" --config >/dev/null 2>&1
[ $? -eq 1 ] || fail "exit status for a bad value"
"$info" --nothing >/dev/null 2>&1
[ $? -eq 2 ] || fail "exit status for an unknown option"
expect "shared memory .*switched off by MPIX_LAYOUT_SHM" env MPIX_LAYOUT_SHM=off "$info" --transports
expect "trial .*bytes each way" "$info" --transports
expect "network  *out:" env MPIX_LAYOUT_NET_DEVICES=nothing "$info" --transports

"$top_builddir/scripts/run-mpi-test" -n 3 -t 60 "$info" --topology >info.out
status=$?
output=$(cat info.out)
rm -f info.out
[ $status -eq 77 ] && exit 77
[ $status -eq 0 ] || fail "exit status under the launcher: $status: $output"
[ "$(echo "$output" | grep -c '^Topology$')" -eq 1 ] || fail "one output of three ranks: $output"
echo "$output" | grep -q 'ranks 0-2$' || fail "ranks of the node: $output"
echo "mpix_layout_info: as expected"
