# SPDX-License-Identifier: BSD-3-Clause
# The programs that mpix_layout(7) shows do what they say.
for example in transpose moe_dispatch; do
  "$top_builddir/scripts/run-mpi-test" -n 3 -t 60 "$top_builddir/examples/$example" >"$example.out"
  status=$?
  cat "$example.out"
  [ $status -eq 0 ] && grep -q ': 0 wrong elements$' "$example.out"
  right=$?
  rm -f "$example.out"
  [ $status -eq 77 ] && exit 77
  [ $right -eq 0 ] || exit 1
done
