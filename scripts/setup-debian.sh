#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Installs what building and testing mpix-layout needs on Debian 12, as far as it is missing. Needs root or sudo.
set -eu
packages="ca-certificates git g++ gcc gfortran make autoconf automake libtool pkg-config python3 python3-venv
  libopenmpi-dev openmpi-bin libmpich-dev mpich libucx-dev libhwloc-dev libgtest-dev libgmock-dev libfftw3-dev
  clang-format iproute2 iputils-ping util-linux procps man-db mandoc"

missing=
for package in $packages; do
  state=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
  [ "$state" = "install ok installed" ] || missing="$missing $package"
done
if [ -z "$missing" ]; then
  echo "setup-debian: everything is installed"
  exit 0
fi
as_root=
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "setup-debian: run this as root, or install sudo; missing:$missing" >&2; exit 1; }
  as_root=sudo
fi
echo "setup-debian: installing$missing"
$as_root apt-get update -q
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
