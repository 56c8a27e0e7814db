/* records.h - the records of which a FastCGI connection is made (FastCGI
 * Specification 1.0, section 3.3), as far as they are looked at before libfcgi
 * reads them.  Pure. */

#ifndef EVH_FCGI_RECORDS_H
#define EVH_FCGI_RECORDS_H

#include "common/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a look at a request has come to; all 0 at first. */
struct records {
	size_t next; /* where the next record begins */
	int count;   /* of those before it */
	uint16_t id; /* of the request */
};

/* Whether bytes[0..len), all that has come so far, hold a whole request: its body
 * ends with an empty record.  Also true for what libfcgi is to refuse.  False: more
 * is needed; the next call goes on where this one stopped. */
bool records_whole(struct records *r, const uint8_t *bytes, size_t len);

/* Appends an answer to the request: text, a CGI response, and the end.  For texts of
 * less than 64 KiB. */
void records_answer(struct buf *out, uint16_t id, const char *text, size_t len);

#endif
