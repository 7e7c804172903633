# SPDX-License-Identifier: BSD-3-Clause
# What is compiled for one instruction set defines no weak symbol: the linker could take such a function for every
# other file that uses it, and a processor without the instructions would stop there.
status=77
for set in avx2 avx512; do
  library=$top_builddir/.libs/libkernels_$set.a
  [ -f "$library" ] || library=$top_builddir/libkernels_$set.a
  [ -f "$library" ] || continue
  [ "$status" = 77 ] && status=0
  weak=$(nm -C --defined-only "$library" 2>/dev/null | awk '$2 ~ /^[Ww]$/')
  if [ -n "$weak" ]; then
    echo "libkernels_$set: $weak"
    status=1
  fi
done
[ "$status" = 77 ] && echo "SKIP: only portable kernels are built"
exit $status
