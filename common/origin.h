/* origin.h - which web pages a browser may connect for (RFC 6454).
 *
 * A page's origin is its scheme, host and port; a port that is the usual one of
 * the scheme may be left out, and is the same all the same.  Pure. */

#ifndef EVH_ORIGIN_H
#define EVH_ORIGIN_H

#include "common/conf.h"

#include <stdbool.h>

struct origin {
	char scheme[32]; /* in lower case */
	char host[256];	 /* in lower case; an IPv6 address in its usual form, in brackets */
	unsigned port;	 /* 0: the scheme has no usual one, and none is given */
};

/* Reads "scheme://host" or "scheme://host:port".  On false *why says in words
 * what it is not. */
bool origin_parse(const char *text, struct origin *origin, const char **why);

/* Checks an item of allowed_origins: "*" or an origin. */
bool origin_pattern_valid(const char *text, const char **why);

/* Where a request came in.  What was forwarded is NULL unless a proxy said it
 * that is trusted; it may be a list, of each proxy's own. */
struct origin_site {
	const char *host;
	const char *forwarded_host, *forwarded_proto;
	bool tls; /* to the daemon itself */
};

/* Whether a page of this origin may connect there: it is listed in allowed, or,
 * when the list is empty, it is of the same host.  The scheme can be told where
 * a page is known to come by https: then one that came by http is another. */
bool origin_allowed(const char *origin, const struct origin_site *site, const struct conf_list *allowed);

#endif
