/* handover.h - the request that the library gets in place of the client's.
 *
 * By the time that libwebsockets hears of a connection its request has been read
 * and granted.  What the library is told is the least that makes it answer 101:
 * the key, and whether our subprotocol was offered.  So it never sees what it
 * cannot take: it copies Sec-WebSocket-Protocol into 128 bytes and each name in
 * it into 64, and Connection into 128, and drops the connection if they do not
 * fit, or a name is none.  Pure. */

#ifndef EVH_WSD_HANDOVER_H
#define EVH_WSD_HANDOVER_H

#include "common/buf.h"
#include "wsd/http_request.h"

/* Appends that request; r asks for an upgrade. */
void handover_write(struct buf *out, const struct http_request *r);

/* With TLS of the daemon's own the library reads the client's request after all,
 * whose head is head[0..len): what in it the library cannot take, or would read
 * otherwise than http_request_read; NULL if nothing. */
const char *handover_fault(const struct http_request *r, const char *head, size_t len);

#endif
