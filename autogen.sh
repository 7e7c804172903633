#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Makes ./configure out of configure.ac; needed after a clone, not after unpacking a release.
set -e
cd "$(dirname "$0")"
exec autoreconf --force --install --warnings=all,no-portability,no-obsolete
