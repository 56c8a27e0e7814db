/* response.h - what goes back to the web server: a status, a few headers and
 * a body, which is JSON but for one endpoint.  Pure. */

#ifndef EVH_FCGI_RESPONSE_H
#define EVH_FCGI_RESPONSE_H

#include "common/api_error.h"
#include "common/buf.h"

struct response {
	int status;	   /* 0 until there is an answer */
	const char *allow; /* for 405; a constant */
	const char *type;  /* Content-Type; NULL: JSON; a constant */
	struct buf note;   /* Evhub-Note, left out when empty; no control characters */
	int retry_after;   /* seconds, for 429 and 503 */
	struct buf body;
};

#define RESPONSE_INIT       \
	{                   \
		.status = 0 \
	}

/* Makes e, which must hold a fault, the answer. */
void response_error(struct response *r, const struct api_error *e);

/* Writes the whole answer, CGI header lines first, behind what out holds.  A
 * body that ran out of memory is answered by a 503. */
void response_write(struct response *r, struct buf *out);

void response_free(struct response *r);

#endif
