# SPDX-License-Identifier: BSD-3-Clause
# MPIX_CHECK_SYSTEM
# Threads, dlsym, shared memory and cross-memory attach of the operating system. Sets SYSTEM_LIBS.
AC_DEFUN([MPIX_CHECK_SYSTEM], [
mpix_save_LIBS=$LIBS
LIBS=
AC_SEARCH_LIBS([dlopen], [dl], [], [AC_MSG_ERROR([no dlopen])])
AC_SEARCH_LIBS([pthread_create], [pthread], [], [AC_MSG_ERROR([no POSIX threads])])
AC_SEARCH_LIBS([shm_open], [rt], [], [AC_MSG_ERROR([no POSIX shared memory])])
SYSTEM_LIBS=$LIBS
AC_SUBST([SYSTEM_LIBS])
LIBS=$mpix_save_LIBS
AC_CHECK_FUNCS([process_vm_readv memfd_create])
])
