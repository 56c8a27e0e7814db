/* daemon_link.h - questions to evhub-wsd over its control socket: one JSON
 * object per line each way.
 *
 * A connection is kept for the next question; one that the daemon closed in
 * the meantime is opened anew, once.  After anything but an answer in time
 * the connection is closed, so that a late answer is never taken for that of
 * another question.  Not thread-safe: each thread has its own. */

#ifndef EVH_FCGI_DAEMON_LINK_H
#define EVH_FCGI_DAEMON_LINK_H

#include "common/buf.h"
#include "common/rc.h"

#include <json-c/json.h>
#include <stddef.h>
#include <stdint.h>

/* Longest question, longest answer, and longest path of a socket with its NUL. */
#define DAEMON_LINE_MAX ((size_t)1 << 20)
#define DAEMON_ANSWER_MAX ((size_t)16 << 20)
#define DAEMON_PATH_BYTES 108

/* How many daemons one thread stays connected to. */
#define DAEMON_LINKS 4

struct daemon_link {
	int fd; /* -1: not connected */
	char path[DAEMON_PATH_BYTES];
};

struct daemon_links {
	struct daemon_link links[DAEMON_LINKS];
	size_t next; /* to be reused when all are taken */
};

void daemon_links_init(struct daemon_links *links);
void daemon_links_close(struct daemon_links *links);

/* Sends line, which ends in a newline, to the socket at path, and waits for
 * the answer until clock_mono_us() passes deadline.  On EVH_OK the caller owns
 * *answer, an object.  Else *answer is NULL: EVH_CLOSED (nobody listens, or
 * the daemon hung up), EVH_DENIED (we may not connect), EVH_TIMEOUT,
 * EVH_INVALID (the answer is no JSON object), EVH_TOO_LARGE, EVH_IO or
 * EVH_NOMEM. */
enum evh_rc daemon_links_ask(struct daemon_links *links, const char *path, const struct buf *line,
	int64_t deadline, struct json_object **answer);

#endif
