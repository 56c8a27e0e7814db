/* Preloaded: a disk that keeps only what was synced, and fails when told to.
 *
 * EVHUB_DISK names a directory.  In it, for each file evhub.db and
 * evhub.db-wal, stands what a power cut would leave for certain: a copy that
 * is brought up to date by fdatasync and fsync alone.  The file "lock" is
 * held meanwhile; who holds it sees both files as of one moment.
 *
 * The file "order" holds one letter: what the next calls on those files do.
 *   f  writing fails with ENOSPC      w  writing fails with EIO
 *   s  syncing fails with EIO         r  reading fails with EIO
 *   o  writing fails with EROFS, as after a remount by the kernel
 *   h  syncing the database, not its -wal, waits until there is another order;
 *      who waits has written "H" there */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#define FDS 4096
#define NAME "evhub.db"

static char watched[FDS]; /* 0, or 'd' for the database, 'w' for its -wal */
static const char *directory;
static volatile char *order;

static void *
next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void
setup(void)
{
	char path[PATH_MAX];
	int fd;

	directory = getenv("EVHUB_DISK");
	if (directory == NULL)
		return;
	(void)snprintf(path, sizeof(path), "%s/order", directory);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	order = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (order == MAP_FAILED)
		order = NULL;
	(void)close(fd);
}

static bool
ordered(int fd, char what)
{
	return fd >= 0 && fd < FDS && watched[fd] != 0 && order != NULL && *order == what;
}

static void
remember(int fd, const char *path)
{
	const char *base = strrchr(path, '/');

	base = base != NULL ? base + 1 : path;
	if (directory == NULL || fd < 0 || fd >= FDS)
		return;
	watched[fd] = strcmp(base, NAME) == 0 ? 'd' : strcmp(base, NAME "-wal") == 0 ? 'w' : 0;
}

int
open64(const char *path, int flags, ...)
{
	int (*real)(const char *, int, ...) = next("open64");
	mode_t mode;
	va_list args;
	int fd;

	va_start(args, flags);
	mode = va_arg(args, mode_t);
	va_end(args);
	fd = real(path, flags, mode);
	remember(fd, path);
	return fd;
}

int
close(int fd)
{
	int (*real)(int) = next("close");

	if (fd >= 0 && fd < FDS)
		watched[fd] = 0;
	return real(fd);
}

/* What the file holds now is what is kept from now on. */
static int
keep(int fd)
{
	ssize_t (*read_at)(int, void *, size_t, off64_t) = next("pread64");
	ssize_t (*write_at)(int, const void *, size_t, off64_t) = next("pwrite64");
	int (*real_close)(int) = next("close");
	char path[PATH_MAX], buffer[65536];
	off64_t at = 0;
	ssize_t n;
	int lock, to;

	(void)snprintf(path, sizeof(path), "%s/lock", directory);
	lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	(void)flock(lock, LOCK_EX);
	(void)snprintf(path, sizeof(path), "%s/%s", directory, watched[fd] == 'd' ? NAME : NAME "-wal");
	to = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	while ((n = read_at(fd, buffer, sizeof(buffer), at)) > 0) {
		if (write_at(to, buffer, (size_t)n, at) != n)
			abort();
		at += n;
	}
	if (to < 0 || ftruncate(to, at) != 0)
		abort();
	(void)real_close(to);
	(void)real_close(lock);
	return 0;
}

static int
sync_it(int fd, const char *name)
{
	int (*real)(int) = next(name);

	if (ordered(fd, 's')) {
		errno = EIO;
		return -1;
	}
	if (ordered(fd, 'h') && watched[fd] == 'd')
		*order = 'H';
	while (ordered(fd, 'H') && watched[fd] == 'd')
		(void)usleep(1000); /* bounded poll: the test ends it */
	return directory != NULL && fd >= 0 && fd < FDS && watched[fd] != 0 ? keep(fd) : real(fd);
}

int
fdatasync(int fd)
{
	return sync_it(fd, "fdatasync");
}

int
fsync(int fd)
{
	return sync_it(fd, "fsync");
}

ssize_t
pwrite64(int fd, const void *data, size_t len, off64_t at)
{
	ssize_t (*real)(int, const void *, size_t, off64_t) = next("pwrite64");

	if (ordered(fd, 'f') || ordered(fd, 'w') || ordered(fd, 'o')) {
		errno = *order == 'f' ? ENOSPC : *order == 'o' ? EROFS : EIO;
		return -1;
	}
	return real(fd, data, len, at);
}

ssize_t
pread64(int fd, void *data, size_t len, off64_t at)
{
	ssize_t (*real)(int, void *, size_t, off64_t) = next("pread64");

	if (ordered(fd, 'r')) {
		errno = EIO;
		return -1;
	}
	return real(fd, data, len, at);
}
