/* http.h - answers of an HTTP/1.1 server on a connection that stays open.  Pure. */

#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include <stdbool.h>
#include <stddef.h>

struct http_answer {
	int status;
	bool closes; /* the server ends the connection behind it */
	size_t len;  /* of all of it */
};

/* Looks at the answer that begins at text; false: there is more to come.
 * Understands Content-Length, chunks, and answers without a body. */
bool http_parse(const char *text, size_t len, struct http_answer *answer);

#endif
