#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Under the default error handler a mismatch ends the job at once, with a message that names ranks and sizes.
. "$(dirname "$0")/crash.sh"

for bytes in 20 1000 500000; do
  run_crash 3 mismatch "$bytes"
  expect_failure "mismatch of $bytes bytes"
  expect_no_output "nobody aborted"
  expect_output "rank 0 sends $((bytes + 77)) bytes to rank 1, which expects $bytes bytes"
done
finish
