/* Preloaded: a wall clock that jumps.  The file EVHUB_CLOCK holds how many
 * seconds it is ahead, as eight bytes; it is read at each call.  Monotonic
 * clocks go on as they are. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *ahead;

__attribute__((constructor)) static void
setup(void)
{
	const char *path = getenv("EVHUB_CLOCK");
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *at = fd >= 0 ? mmap(NULL, 8, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

	if (at != MAP_FAILED)
		ahead = at;
	if (fd >= 0)
		(void)close(fd);
}

static int64_t
offset(void)
{
	return ahead != NULL ? *ahead : 0;
}

int
clock_gettime(clockid_t id, struct timespec *t)
{
	int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
	int rc = real(id, t);

	if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		t->tv_sec += offset();
	return rc;
}

int
gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	int (*real)(struct timeval *, void *) = dlsym(RTLD_NEXT, "gettimeofday");
	int rc = real(t, zone);

	if (rc == 0)
		t->tv_sec += offset();
	return rc;
}

time_t
time(time_t *out)
{
	struct timespec t;
	time_t now = clock_gettime(CLOCK_REALTIME, &t) == 0 ? t.tv_sec : (time_t)-1;

	if (out != NULL)
		*out = now;
	return now;
}
