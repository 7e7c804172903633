# SPDX-License-Identifier: BSD-3-Clause
# MPIX_BUILD_FACTS
# How this copy is built, for mpix_layout_info: defines MPIX_BUILD_* in config.h. To be called after all checks.
AC_DEFUN([MPIX_BUILD_FACTS], [
MPIX_BUILD_FACT([CC], [$CC], [C compiler])
MPIX_BUILD_FACT([CXX], [$CXX], [C++ compiler])
MPIX_BUILD_FACT([FC], [$FC], [Fortran compiler])
MPIX_BUILD_FACT([CXXFLAGS], [$CPPFLAGS $CXXFLAGS $MPIX_CXXFLAGS], [C++ flags])
MPIX_BUILD_FACT([OPTIONS], [$ac_configure_args], [Options that configure was given])
])

# MPIX_BUILD_FACT(NAME, VALUE, DESCRIPTION): a C string of VALUE
AC_DEFUN([MPIX_BUILD_FACT], [
mpix_fact=`AS_ECHO(["$2"]) | sed 's/^ *//; s/  */ /g; s/[[\\\\"]]/\\\\&/g'`
AC_DEFINE_UNQUOTED([MPIX_BUILD_$1], ["$mpix_fact"], [$3])
])
