/* loop_fd.h - the descriptors that are watched beside the connections of
 * clients: control socket, threads, timers, listeners.  Inside of the loop.
 *
 * They have an epoll(7) of their own, which the library's loop watches as one
 * descriptor.  So they can be asked about while the library is still busy with
 * what was ready for it, which may be ten thousand connections at a time. */

#ifndef EVH_WSD_LOOP_FD_H
#define EVH_WSD_LOOP_FD_H

#include "wsd/loop.h"

struct loop_fds;

/* NULL when out of memory or descriptors. */
struct loop_fds *loop_fds_new(void);

/* Everything that was watched must have been unwatched. */
void loop_fds_free(struct loop_fds **fds);

/* The descriptor that is readable while one of them is ready; not the caller's. */
int loop_fds_epoll(const struct loop_fds *fds);

struct loop_fd *loop_fds_add(struct loop_fds *fds, int fd, void (*readable)(void *arg),
	void (*writable)(void *arg), void *arg);

/* Calls what is ready, each once, those that bring work last or, if !all, not
 * at all.  Does nothing when called from one of those calls. */
void loop_fds_dispatch(struct loop_fds *fds, bool all);
bool loop_fds_dispatching(const struct loop_fds *fds);

#endif
