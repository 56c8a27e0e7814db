/* arrivals.h - connections of web servers, handed out when their requests are there.
 *
 * Some web servers pass a body on as it comes.  A thread that read it would wait for
 * a client that may take its time, and a few such clients would hold all threads.  So
 * a request that has not come as a whole waits with all others of its kind in one
 * thread, and the end of a request that was answered unread is waited for there. */

#ifndef EVH_FCGI_ARRIVALS_H
#define EVH_FCGI_ARRIVALS_H

#include "common/rc.h"

#include <stdbool.h>
#include <stdint.h>

struct arrivals;

struct arrival {
	int fd;
	bool whole; /* the request is there to its end; else it is too long to be waited for */
};

/* listener is a listening socket that does not block, stop a descriptor that becomes
 * readable when it is time to stop, and both stay the caller's.  A request has
 * timeout_us to come; then it is answered 408.  Of so many threads, at most half are
 * given requests that are not whole.  EVH_NOMEM or EVH_IO. */
enum evh_rc arrivals_new(struct arrivals **out, int listener, int stop, int64_t timeout_us, int threads);

/* Waits for the next; for any thread.  Once it is time to stop, false, but while
 * finish_backlog, when nobody waits to be accepted any more. */
bool arrivals_next(struct arrivals *a, bool finish_backlog, struct arrival *next);

/* The request was answered, and read if it was whole; fd, which is taken over, is its
 * connection, or -1 if that is closed.  Of what was not whole, the rest is waited for,
 * lest the web server cannot read the answer, but not for longer than timeout_us. */
void arrivals_answered(struct arrivals *a, const struct arrival *arrival, int fd);

/* After the threads have ended.  Who is still waiting is hung up on. */
void arrivals_free(struct arrivals **arrivals);

#endif
