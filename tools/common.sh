# Shared by tools/check and tools/quickstart, which source it: the packages that
# evhub needs on Debian 12, and a copy of the source to build in, so that the
# checkout itself stays as it is.

BUILD_PACKAGES='gcc make autoconf automake pkg-config libc6-dev libwebsockets-dev
	libwebsockets-evlib-ev libwebsockets-evlib-uv libjson-c-dev libsqlite3-dev libssl-dev
	libconfuse-dev libjwt-dev
	uuid-dev libcmocka-dev libfcgi-dev uthash-dev libuv1-dev libev-dev'

say() {
	printf '%s\n' "$*"
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# Prints those of the packages that are not installed.
missing_packages() {
	for package in "$@"; do
		case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
		installed) ;;
		*) printf '%s ' "$package" ;;
		esac
	done
}

# Installs what is missing when root; else tells how and ends with status 1.
# The web servers among them are not started: they are for the tests.
need_packages() {
	command -v dpkg-query >/dev/null || return 0 # no Debian: configure tells what it lacks
	missing=$(missing_packages "$@")
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" != 0 ]; then
		say "These packages are missing; as root:"
		say "  apt-get install --no-install-recommends $missing"
		exit 1
	fi
	say "Installing $missing"
	policy=/usr/sbin/policy-rc.d
	if [ -e "$policy" ]; then
		policy=
	else
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	fi
	installed=yes
	{
		apt-get -qq update &&
			# shellcheck disable=SC2086 # a list of names
			DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends $missing
	} >/dev/null || installed=no
	[ -z "$policy" ] || rm -f "$policy"
	[ "$installed" = yes ] || die "apt-get could not install $missing"
}

# copy_source FROM TO: what a build needs.  Files that are the same there are
# left alone, so that a second build makes only what has changed.
copy_source() {
	(
		cd "$1" && find . \( -path './.git' -o -path './build*' -o -path ./autom4te.cache -o -name .deps \
			-o -name __pycache__ \) -prune -o -type f ! -name '*.o' ! -name '*.a' ! -name '*.log' ! -name '*.trs' \
			! -path ./configure ! -path ./config.h ! -path ./config.h.in ! -path ./config.status ! -path ./stamp-h1 \
			! -path ./aclocal.m4 ! -path ./Makefile ! -path ./Makefile.in ! -path ./common/migrations.c -print
	) | while IFS= read -r file; do
		if ! cmp -s "$1/$file" "$2/$file"; then
			mkdir -p "$2/${file%/*}" && cp "$1/$file" "$2/$file" || exit 1
		fi
	done
}

# prepare_source DIRECTORY: runs autoreconf there if it has to be.
prepare_source() {
	if [ ! -e "$1/configure" ] || [ -n "$(find "$1" -newer "$1/configure" \
		\( -name configure.ac -o -name Makefile.am -o -name local.mk -o -name '*.m4' \) -print | head -n 1)" ]; then
		(cd "$1" && autoreconf -fi)
	fi
}
