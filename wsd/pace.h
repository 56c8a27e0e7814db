/* pace.h - when to flush: at once while there is time, in larger batches when
 * there is none.
 *
 * One send per client and batch is what delivery costs, nearly whatever the
 * batch holds.  So after a flush the next one waits for a share of the time
 * that the last one took: events that come in the meantime go out with it.
 * Where events are rarer than flushes are long, none ever waits.  Pure. */

#ifndef EVH_WSD_PACE_H
#define EVH_WSD_PACE_H

#include <stddef.h>
#include <stdint.h>

struct pace {
	int64_t not_before; /* monotonic µs */
};

/* A flush took from start to end, monotonic µs. */
void pace_flushed(struct pace *pace, int64_t start, int64_t end);

/* How long the next flush has to wait yet, µs; 0: it is due.  backlog: bytes of
 * the events that wait for it. */
int64_t pace_wait(const struct pace *pace, int64_t now, size_t backlog);

#endif
