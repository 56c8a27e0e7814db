/* handshake.h - may this request become a WebSocket, and with what?
 *
 * Looks at one upgrade request and either names everything that is wrong with
 * it or says who it is and what it subscribes to. */

#ifndef EVH_WSD_HANDSHAKE_H
#define EVH_WSD_HANDSHAKE_H

#include "common/auth.h"
#include "common/conf.h"
#include "common/event_types.h"
#include "common/guard.h"
#include "wsd/group.h"
#include "wsd/http_request.h"
#include "wsd/remote_addr.h"
#include "wsd/tickets.h"

/* What was asked for.  handshake_free releases it. */
struct handshake {
	struct auth_principal who;
	struct event_types types; /* global and other mandatory ones included */
	char remote_addr[REMOTE_ADDR_BYTES];
	char counted_as[ADDRESS_BYTES]; /* what limits count as one address; "": they do not apply */
	bool resume;			/* last_event_id was given … */
	bool resume_known;		/* … and is of this epoch */
	uint64_t resume_seq;
	char ticket[AUTH_HASH_TEXT]; /* the claim on it; "" if none was shown */
};

/* What a request is judged by. */
struct handshake_rules {
	const struct conf *conf;
	struct auth *auth;
	struct tickets *tickets;
	const struct grouping *types;
	const char *epoch;
	struct guard *guard;
	int64_t now; /* monotonic µs, for guard */
	/* Learns what has changed in the database, types included; may be NULL. */
	void (*look)(void *arg);
	void *arg;
};

/* Judges the form of the request, the credential, and the event types.  On
 * false e says why (the first fault decides the status).  On true a ticket is
 * claimed: it is the caller who releases it. */
bool handshake_check(struct handshake *h, const struct http_request *request,
	const struct handshake_rules *rules, struct api_error *e);

void handshake_free(struct handshake *h);

#endif
