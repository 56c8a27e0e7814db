/* http_head.h - the head of an HTTP request, held to RFC 9112 with nothing
 * forgiven, before the library sees it.
 *
 * The library takes much for a request that is none, or is another one for the
 * web server in front of us: a line that ends in a bare LF, a NUL in a header,
 * a second X-Api-Key, a body behind a GET, "/x/../subscribe".  What passes here
 * means the same to everybody.  What the request asks for is judged later.
 * Pure. */

#ifndef EVH_WSD_HTTP_HEAD_H
#define EVH_WSD_HTTP_HEAD_H

#include "common/api_error.h"

#include <stdbool.h>
#include <stddef.h>

/* How many parts the query may have. */
#define HTTP_HEAD_ARGS_MAX 32

enum http_head {
	HTTP_HEAD_PART, /* there is more to come, and nothing is wrong so far */
	HTTP_HEAD_GOOD, /* it is whole */
	HTTP_HEAD_BAD,	/* e says what is wrong */
};

/* How far a head has been looked at, and what is known of it.  Begins as zeroes. */
struct http_head_seen {
	size_t len; /* of whole lines */
	bool get;
	unsigned singles; /* headers that may be there once, and are */
};

/* Looks at the first len bytes of a connection, those behind what was seen of the
 * same before; a head, with its empty line, has at most max.  If it is good
 * seen->len is how long it is. */
enum http_head http_head_check(
	const char *bytes, size_t len, size_t max, struct http_head_seen *seen, struct api_error *e);

/* The character at p, decoded; *step is how many of the len bytes it takes.  -1 if
 * it is none that may stand in a path or a query (RFC 3986 section 3.3). */
int http_uri_char(const char *p, size_t len, size_t *step);

#endif
