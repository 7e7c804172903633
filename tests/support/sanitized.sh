# SPDX-License-Identifier: BSD-3-Clause
# usage: sanitized.sh COMMAND...
# Runs a test under sanitizers, and once more if LeakSanitizer itself has crashed: GCC 12's does so now and then while
# threads of an MPI run, after all tests of the program have passed.
output=$(mktemp) || exit 1
trap 'rm -f "$output"' EXIT
for attempt in 1 2; do
  "$@" >"$output" 2>&1
  status=$?
  cat "$output"
  grep -q '^Tracer caught signal' "$output" || break
  echo "LeakSanitizer crashed in attempt $attempt"
done
exit $status
