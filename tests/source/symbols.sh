# SPDX-License-Identifier: BSD-3-Clause
# The shared library exports exactly src/api/exported-symbols.txt.
list=$top_srcdir/src/api/exported-symbols.txt
library=$top_builddir/.libs/libmpix_layout.so
if ! LC_ALL=C sort -cu "$list"; then
  echo "$list is not sorted"
  exit 1
fi
found=$(nm -D --defined-only "$library" | awk '{print $NF}' | LC_ALL=C sort) || exit 1
if [ "$found" = "$(cat "$list")" ]; then
  echo "$(wc -l <"$list") symbols"
  exit 0
fi
echo "exported (+) and listed (-) symbols differ:"
echo "$found" | diff -u "$list" -
exit 1
