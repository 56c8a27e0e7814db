/* counts.h - how many requests this process has answered, by endpoint, status
 * and reason: a part of the page of figures.  Thread-safe. */

#ifndef EVH_FCGI_COUNTS_H
#define EVH_FCGI_COUNTS_H

#include "common/buf.h"

/* Counts one.  endpoint and reason (NULL: none) are constants. */
void counts_add(const char *endpoint, int status, const char *reason);

/* Appends the family evhub_http_requests_total. */
void counts_write(struct buf *out);

#endif
