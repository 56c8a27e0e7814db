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

# EVH_FUZZER: ends with an error unless the compiler brings libFuzzer.
AC_DEFUN([EVH_FUZZER], [
	evh_saved_ldflags=$LDFLAGS
	LDFLAGS="$LDFLAGS -fsanitize=fuzzer"
	AC_MSG_CHECKING([whether $CC has libFuzzer])
	AC_LINK_IFELSE([AC_LANG_SOURCE([int LLVMFuzzerTestOneInput(const unsigned char *data, __SIZE_TYPE__ size);
		int LLVMFuzzerTestOneInput(const unsigned char *data, __SIZE_TYPE__ size)
		{ return data != 0 && size > 1 ? 0 : 0; }])],
		[AC_MSG_RESULT([yes])],
		[AC_MSG_RESULT([no])
		 AC_MSG_ERROR([--enable-fuzzers needs CC=clang with libFuzzer
  On Debian:  apt install clang libclang-rt-14-dev])])
	LDFLAGS=$evh_saved_ldflags
])
