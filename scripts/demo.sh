#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# usage: scripts/demo.sh [FOLDER]
# On Debian 12: installs what is missing, builds below FOLDER (build-demo by default), runs a distributed 3-D FFT
# that is checked against FFTW's own, and then times exchanges beside what they replace, on two ranks.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
work=${1:-$top/build-demo}

sh "$top/scripts/setup-debian.sh"
[ -x "$top/configure" ] || "$top/autogen.sh"
mkdir -p "$work"
cd "$work"
[ -f Makefile ] || "$top/configure" CC=mpicc.openmpi
make -j"$(nproc)"

run() {
  echo
  echo "\$ mpirun -n 2 $*"
  OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun.openmpi --oversubscribe -n 2 "$@"
}
run examples/fft3d/fft3d --grid 128x128x128
run ./osu_alltoallv_layout --total 64M --row 64,256,1024,4096,14336 -c
run ./osu_alltoallv_layout --pattern fft --grid 256x256x256,512x512x64 -c
