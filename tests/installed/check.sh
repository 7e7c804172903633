# SPDX-License-Identifier: BSD-3-Clause
# make installcheck: programs in C and Fortran are built against the installed copy through pkg-config, outside the
# source and build trees, and run; so is mpix_layout_info. The makefile sets the variables used here.
set -eu
source=$(cd "$top_srcdir" && pwd)
run="$(pwd)/scripts/run-mpi-test -n 4 -t 120"
export PKG_CONFIG_PATH="${DESTDIR:-}$pkgconfigdir${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
# The files below DESTDIR still name their final place; pkg-config puts DESTDIR in front.
if [ -n "${DESTDIR:-}" ]; then export PKG_CONFIG_SYSROOT_DIR="$DESTDIR"; fi
export LD_LIBRARY_PATH="${DESTDIR:-}$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

pkg-config --exists --print-errors "mpix-layout = $VERSION"
echo "installcheck: C"
$CC -std=c99 $sanitizer_flags "$source/tests/installed/exchange.c" $(pkg-config --cflags --libs mpix-layout) -o exchange
$run ./exchange

if [ "$fortran" = yes ]; then
  for kind in f08 f90; do
    echo "installcheck: Fortran, $kind"
    $FC $sanitizer_flags "$source/tests/fortran/test_$kind.F90" $(pkg-config --cflags --libs mpix-layout-fortran) \
      -o "fortran_$kind"
    $run "./fortran_$kind"
  done
else
  echo "installcheck: SKIP Fortran, which configure left out"
fi

echo "installcheck: mpix_layout_info"
"${DESTDIR:-}$bindir/mpix_layout_info" >info.txt
grep "$VERSION" info.txt
"${DESTDIR:-}$bindir/mpix_layout_info" --config | grep -i mpix_layout_timeout
echo "installcheck: all passed"
