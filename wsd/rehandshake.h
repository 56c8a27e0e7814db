/* rehandshake.h - a handshake whose list of subprotocols the library cannot take.
 *
 * libwebsockets copies Sec-WebSocket-Protocol into 128 bytes and each name of it
 * into 64, and drops the connection when they do not fit.  A browser's token
 * comes in that list (evhub.v1, bearer.TOKEN) and may be longer.  So such a
 * request is written anew without it, and given to the library once more; the
 * list itself is kept beside.  Pure. */

#ifndef EVH_WSD_REHANDSHAKE_H
#define EVH_WSD_REHANDSHAKE_H

#include "common/buf.h"
#include "wsd/server.h"

#include <stdbool.h>

/* Whether the library fails on this list (NULL: there is none). */
bool rehandshake_needed(const char *protocols);

/* Appends a request that means the same, but offers evhub.v1 alone. */
void rehandshake_write(struct buf *out, const struct server_request *request, const char *key);

#endif
