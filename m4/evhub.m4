# Helpers of configure.ac.

# EVH_PKG(VARIABLE, MODULE, DEBIAN-PACKAGE)
AC_DEFUN([EVH_PKG], [
	PKG_CHECK_MODULES([$1], [$2], [], [evh_missing="$evh_missing $3"])
])

# EVH_HEADER(HEADER, DEBIAN-PACKAGE)
AC_DEFUN([EVH_HEADER], [
	AC_CHECK_HEADER([$1], [], [evh_missing="$evh_missing $2"])
])

# EVH_FLAG(FLAG): adds it to EVH_CFLAGS if the compiler knows it.
AC_DEFUN([EVH_FLAG], [
	evh_saved_cflags=$CFLAGS
	CFLAGS="$CFLAGS -Werror $1"
	AC_MSG_CHECKING([whether $CC knows $1])
	AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
		[AC_MSG_RESULT([yes]); EVH_CFLAGS="$EVH_CFLAGS $1"],
		[AC_MSG_RESULT([no])])
	CFLAGS=$evh_saved_cflags
])
