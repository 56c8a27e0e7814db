/* http_request.h - what a request says, once its head was found good.
 *
 * Every header that may be there more than once is put together as one list, in
 * the order of the lines (RFC 9110 section 5.3).  Pure. */

#ifndef EVH_WSD_HTTP_REQUEST_H
#define EVH_WSD_HTTP_REQUEST_H

#include "common/buf.h"
#include "wsd/http_head.h"

#include <stdbool.h>
#include <stddef.h>

/* A part of the query, decoded; "" is the value of a name that stands alone. */
struct http_arg {
	const char *name, *value;
};

/* Header values are NULL when absent or empty. */
struct http_request {
	const char *method, *path; /* decoded, without the query */
	struct http_arg args[HTTP_HEAD_ARGS_MAX];
	size_t arg_count;
	bool upgrade;	 /* asks for a WebSocket, in a form that can be met */
	const char *bad; /* why it cannot, if it asks for one in another form */
	const char *authorization, *api_key, *origin, *host, *user_agent, *forwarded_for;
	const char *forwarded_host, *forwarded_proto; /* of X-Forwarded-… */
	const char *connection;
	const char *key;       /* Sec-WebSocket-Key */
	const char *protocols; /* Sec-WebSocket-Protocol */

	/* said by who has the connection */
	bool tls;	  /* to this daemon */
	const char *peer; /* address, "unix" for a Unix socket */
};

/* Reads head[0..len), which http_head_check has found good and so long.  All that
 * *r points to is in text, until that is changed.  False when out of memory. */
bool http_request_read(struct http_request *r, struct buf *text, const char *head, size_t len);

/* The value of a query parameter: NULL if absent; *twice if it is repeated. */
const char *http_request_arg(const struct http_request *r, const char *name, bool *twice);

#endif
