/* gate.h - new connections, until the head of their request is there.
 *
 * The bytes are looked at where they wait, in the socket, and not taken: what
 * is let through is a socket from which the whole head can be read at once.
 * Whoever takes longer than the time for a handshake, byte by byte or not at
 * all, has cost a descriptor and a few bytes of memory, and is told 408.
 * Owned by the service loop. */

#ifndef EVH_WSD_GATE_H
#define EVH_WSD_GATE_H

#include "common/api_error.h"
#include "wsd/loop.h"

#include <stddef.h>
#include <stdint.h>

struct gate;

struct gate_setup {
	struct loop *loop;
	size_t max_header;  /* bytes of a head */
	int64_t timeout_ms; /* from the connection to the end of the head */
	/* The head is good: fd is the callee's from now on. */
	void (*let_in)(void *arg, int fd, const char *peer);
	/* It is not, for what e says: the callee answers, and closes fd. */
	void (*refuse)(void *arg, int fd, const char *peer, const struct api_error *e);
	void *arg;
};

/* EVH_NOMEM when out of memory or descriptors. */
enum evh_rc gate_new(struct gate **out, const struct gate_setup *setup);

/* Takes a connection over; it may be let in or refused at once. */
void gate_take(struct gate *gate, int fd, const char *peer);

/* Closes those that wait.  Nothing may be taken any more. */
void gate_close(struct gate *gate);
void gate_free(struct gate **gate);

#endif
