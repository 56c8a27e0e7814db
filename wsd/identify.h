/* identify.h - whom a handshake comes from, by whatever it shows: headers, a
 * ticket, a token among the subprotocols, or, if that is allowed, one in the
 * query.  All that is shown must be valid and name the same user. */

#ifndef EVH_WSD_IDENTIFY_H
#define EVH_WSD_IDENTIFY_H

#include "wsd/handshake.h"

/* Fills h->who, and h->ticket with the claim on a ticket.  On false e says what
 * is wrong; a ticket that was claimed by then stays claimed. */
bool identify(struct handshake *h, const struct http_request *request,
	const struct handshake_rules *rules, struct api_error *e);

#endif
