#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A rank that dies in an exchange: the job ends, nothing is left in /dev/shm, no process remains.
. "$(dirname "$0")/crash.sh"

# Lets Open MPI's launcher keep the other ranks, so that the library is the one to notice; others end the job.
OMPI_MCA_orte_enable_recovery=1
export OMPI_MCA_orte_enable_recovery
for attempt in 1 2 3; do
  run_crash 3 killed
  if grep -q MPIX_ERR_PEER "$output"; then
    echo "PASS attempt $attempt: the library reported the dead rank"
  else
    expect_failure "attempt $attempt: the launcher ended the job"
  fi
  expect_no_output 'another error'
done
unset OMPI_MCA_orte_enable_recovery
run_crash 3 early
expect_failure "rank gone before the exchange"
finish
