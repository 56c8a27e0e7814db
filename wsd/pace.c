#include "wsd/pace.h"

/* The wait is this fraction of the time that a flush took … */
#define SHARE 2

/* … but at most this, µs, and none once so many bytes wait. */
#define WAIT_MAX 10000
#define BACKLOG_MAX ((size_t)64 * 1024)

void
pace_flushed(struct pace *pace, int64_t start, int64_t end)
{
	int64_t wait = (end - start) / SHARE;

	pace->not_before = end + (wait > WAIT_MAX ? WAIT_MAX : wait);
}

int64_t
pace_wait(const struct pace *pace, int64_t now, size_t backlog)
{
	if (now >= pace->not_before || backlog >= BACKLOG_MAX)
		return 0;
	return pace->not_before - now;
}
