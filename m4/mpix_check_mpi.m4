# SPDX-License-Identifier: BSD-3-Clause
# MPIX_CHECK_MPI
# An MPI that $CC and $CXX link by themselves, what it can do, and the launcher that belongs to it.
# Sets MPIRUN, MPI_FLAVOR (openmpi, mpich or other), mpix_mpi_version.
AC_DEFUN([MPIX_CHECK_MPI], [
AC_ARG_VAR([MPICC], [MPI's C compiler wrapper, used where CC is not given [mpicc]])
AC_ARG_VAR([MPICXX], [MPI's C++ compiler wrapper, used where CXX is not given [the one that belongs to CC]])
AC_ARG_VAR([MPIFC], [MPI's Fortran compiler wrapper, used where FC is not given [the one that belongs to CC]])
AC_ARG_VAR([MPIRUN], [launcher that belongs to this MPI, for the tests])
# The C++ bindings, which MPI 3.0 removed, would be included by mpi.h otherwise.
CPPFLAGS="$CPPFLAGS -DOMPI_SKIP_MPICXX=1 -DMPICH_SKIP_MPICXX=1"

m4_foreach([mpix_lang], [[C], [C++]], [
AC_LANG_PUSH(mpix_lang)
AC_MSG_CHECKING([whether the ]mpix_lang[ compiler links MPI programs])
AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <mpi.h>]], [[return MPI_Init(0, 0);]])],
  [AC_MSG_RESULT([yes])],
  [AC_MSG_RESULT([no])
   AC_MSG_ERROR([no working MPI: CC=$CC CXX=$CXX cannot compile and link a call of MPI_Init.
Install one (on Debian: libopenmpi-dev openmpi-bin, or libmpich-dev mpich), or name its compilers:
  ./configure CC=mpicc.mpich])])
AC_LANG_POP(mpix_lang)
])

AC_MSG_CHECKING([which MPI this is])
mpix_has_macro() { AS_ECHO(["#include <mpi.h>
#ifdef $][1
mpix_yes
#endif"]) > conftest.c; $CC -E $CPPFLAGS conftest.c 2>/dev/null | grep -q '^ *mpix_yes'; }
MPI_FLAVOR=other
AS_IF([mpix_has_macro OPEN_MPI], [MPI_FLAVOR=openmpi], [mpix_has_macro MPICH_VERSION], [MPI_FLAVOR=mpich])
rm -f conftest.c
mpix_mpi_version=unknown
AC_RUN_IFELSE([AC_LANG_PROGRAM([[
#include <mpi.h>
#include <stdio.h>
]], [[
char text[MPI_MAX_LIBRARY_VERSION_STRING];
int length;
FILE* file = fopen("conftest.out", "w");
if (file == 0 || MPI_Get_library_version(text, &length) != MPI_SUCCESS) return 1;
for (char* c = text; *c != 0; ++c) if (*c == '\t') *c = ' ';
fputs(text, file);
return fclose(file);]])],
  [mpix_mpi_version=`sed 1q conftest.out | sed 's/  */ /g; s/, package.*ident:.*$//; s/,.*//'`
   test "$MPI_FLAVOR" = mpich && mpix_mpi_version=`sed -n 's/^MPICH Version: *\(.*\)$/MPICH \1/p' conftest.out`],
  [], [:])
rm -f conftest.out
AC_MSG_RESULT([$MPI_FLAVOR: $mpix_mpi_version])
AC_DEFINE_UNQUOTED([MPIX_MPI_BUILT_WITH], ["$mpix_mpi_version"], [Library version of the MPI at configure time])

AC_CHECK_FUNCS([MPI_Type_get_contents_c MPI_Type_contiguous_c MPI_Session_init MPI_Comm_create_from_group \
  MPI_Isendrecv MPI_Alltoallv_c MPI_Alltoallw_init MPIX_Grequest_start MPIX_Async_start])

# A launcher beside the wrapper, with the wrapper's suffix (mpicc.mpich, mpirun.mpich), then any in the PATH.
mpix_cc=`command -v "${CC%% *}"`
mpix_dir=`dirname "$mpix_cc"`
mpix_suffix=`basename "$mpix_cc" | sed -n 's/^mpicc//p'`
AS_CASE([$MPI_FLAVOR],
  [openmpi], [mpix_names="mpirun$mpix_suffix mpiexec$mpix_suffix mpirun.openmpi mpirun"],
  [mpich], [mpix_names="mpiexec$mpix_suffix mpiexec.mpich mpiexec.hydra mpiexec"],
  [mpix_names="mpiexec$mpix_suffix mpirun$mpix_suffix mpiexec mpirun"])
AC_PATH_PROGS([MPIRUN], [$mpix_names], [], [$mpix_dir$PATH_SEPARATOR$PATH])
AS_IF([test -z "$MPIRUN"],
  [AC_MSG_WARN([no mpirun found: make check will skip the tests that need it; give MPIRUN=...])])
AC_SUBST([MPI_FLAVOR])
])

# MPIX_SIBLING(VARIABLE, WRAPPER, CHOICE)
# Sets VARIABLE, unless the user gave it, to CHOICE or to the wrapper that belongs to $CC: mpicc.mpich gives
# WRAPPER.mpich, /opt/mpi/bin/mpicc gives /opt/mpi/bin/WRAPPER. Where $CC is no wrapper, to WRAPPER.
AC_DEFUN([MPIX_SIBLING], [
AS_IF([test -z "${$1+set}"], [
  AS_IF([test -n "$3"], [$1=$3], [
    AS_CASE([$CC],
      [*" "*], [$1=$2],
      [mpicc*|*/mpicc*], [$1=`AS_ECHO(["$CC"]) | sed 's,mpicc\([[^/]]*\)$,$2\1,'`],
      [$1=$2])])
  # libtool and configure both take "no" for a compiler that there is none of.
  AS_IF([command -v "${$1}" >/dev/null], [], [$1=no])])
])
