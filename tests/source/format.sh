# SPDX-License-Identifier: BSD-3-Clause
# Every C and C++ source is as clang-format writes it. Other versions than Debian 12's may disagree, so it must be 14.
version=$(clang-format --version 2>/dev/null | sed -n 's/.*version \([0-9]*\).*/\1/p')
if [ "$version" != 14 ]; then
  echo "SKIP: needs clang-format 14, found '${version:-none}'"
  exit 77
fi
cd "$top_srcdir" || exit 1
find include src kernels tests benchmarks examples -name '*.[ch]' -o -name '*.[ch]pp' -o -name '*.cu' |
  xargs clang-format --dry-run -Werror
