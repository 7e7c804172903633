# SPDX-License-Identifier: BSD-3-Clause
# The public header compiles by itself, as C99 and as C++11, without a warning.
include=$(cd "$top_srcdir/include" && pwd) || exit 1
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
skip="-DOMPI_SKIP_MPICXX=1 -DMPICH_SKIP_MPICXX=1"
echo '#include <mpix_layout.h>
#include <mpix_layout.h>
int main(void) { MPIX_Layout layout = MPIX_LAYOUT_NULL; return layout != MPIX_LAYOUT_NULL; }' >alone.c
cp alone.c alone.cpp
# -Wno-long-long: MPI's own headers use it.
strict="-pedantic -Wall -Wextra -Wconversion -Wno-long-long -Werror -I$include"
$CC -std=c99 -Wstrict-prototypes $strict $skip -c alone.c -o c.o || exit 1
${CXX%% *} -std=c++11 $strict $skip -c alone.cpp -o cpp.o
