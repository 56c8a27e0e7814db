/* subprotocols.h - the list in Sec-WebSocket-Protocol.
 *
 * A browser can set no header on a WebSocket but this one, so a token may stand
 * in it: "evhub.v1, bearer.TOKEN".  The answer names evhub.v1 alone.  Pure. */

#ifndef EVH_WSD_SUBPROTOCOLS_H
#define EVH_WSD_SUBPROTOCOLS_H

#include <stdbool.h>
#include <stddef.h>

/* The name that the server speaks. */
#define SUBPROTOCOL "evhub.v1"

/* Whether the list holds the name that we speak. */
bool subprotocols_have_ours(const char *list);

/* Finds the token of a "bearer.TOKEN" in the list: returns how many there are,
 * and where the first one is. */
size_t subprotocols_token(const char *list, const char **token, size_t *len);

#endif
