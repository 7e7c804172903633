# SPDX-License-Identifier: BSD-3-Clause
# MPIX_CHECK_UCX
# UCX by pkg-config or below a given folder; required. Sets UCX_CFLAGS, UCX_LIBS, mpix_ucx_version.
AC_DEFUN([MPIX_CHECK_UCX], [
AC_ARG_WITH([ucx],
  [AS_HELP_STRING([--with-ucx=DIR], [UCX, installed in DIR; by default found by pkg-config])],
  [], [with_ucx=yes])
AS_CASE([$with_ucx],
  [no], [AC_MSG_ERROR([UCX is required: it carries what goes between nodes. Drop --without-ucx.])],
  [yes], [
    PKG_CHECK_MODULES([UCX], [ucx >= 1.13], [], [
      UCX_CFLAGS=
      UCX_LIBS="-lucp -luct -lucs"])],
  # The compiler would go on to look in its own folders.
  [AS_IF([test ! -f "$with_ucx/include/ucp/api/ucp.h"],
     [AC_MSG_ERROR([there is no UCX in $with_ucx: include/ucp/api/ucp.h is missing there])])
   UCX_CFLAGS="-isystem $with_ucx/include"
   UCX_LIBS="-L$with_ucx/lib -lucp -luct -lucs"
   MPIX_LDFLAGS="$MPIX_LDFLAGS -R$with_ucx/lib"])
AC_SUBST([with_ucx])
AC_SUBST([UCX_CFLAGS])
AC_SUBST([UCX_LIBS])

mpix_save_CPPFLAGS=$CPPFLAGS
mpix_save_LIBS=$LIBS
CPPFLAGS="$UCX_CFLAGS $CPPFLAGS"
LIBS="$UCX_LIBS $LIBS"
AC_MSG_CHECKING([for UCX with active messages])
AC_LINK_IFELSE([AC_LANG_PROGRAM([[
#include <ucp/api/ucp.h>
#include <ucs/type/status.h>
#include <uct/api/uct.h>
]], [[
ucp_request_param_t param = {0};
(void)ucs_status_string(UCS_OK);
uct_release_component_list(0);
return ucp_am_send_nbx(0, 0, 0, 0, 0, 0, &param) != 0;]])],
  [AC_MSG_RESULT([yes])],
  [AC_MSG_RESULT([no])
   AC_MSG_ERROR([UCX (1.13 or newer) was not found. Install it (on Debian: apt-get install libucx-dev),
or say where it is: --with-ucx=DIR, with DIR/include/ucp/api/ucp.h and DIR/lib/libucp.so])])
AC_CHECK_DECLS([UCT_MD_FLAG_REG_DMABUF], [], [], [#include <uct/api/uct.h>])
AC_COMPUTE_INT([mpix_ucx_major], [UCP_API_MAJOR], [#include <ucp/api/ucp.h>], [mpix_ucx_major=0])
AC_COMPUTE_INT([mpix_ucx_minor], [UCP_API_MINOR], [#include <ucp/api/ucp.h>], [mpix_ucx_minor=0])
mpix_ucx_version=$mpix_ucx_major.$mpix_ucx_minor
AC_DEFINE_UNQUOTED([MPIX_UCX_BUILT_WITH], ["$mpix_ucx_version"], [Version of UCX at configure time])
CPPFLAGS=$mpix_save_CPPFLAGS
LIBS=$mpix_save_LIBS
])
