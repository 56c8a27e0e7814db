/* publish.h - events that were checked, on their way to the clients: those
 * that are kept into the table event, in one transaction, and the others to
 * the daemons, by their control sockets. */

#ifndef EVH_FCGI_PUBLISH_H
#define EVH_FCGI_PUBLISH_H

#include "common/event.h"
#include "common/ids.h"
#include "fcgi/context.h"
#include "fcgi/endpoints.h"

#include <stdbool.h>
#include <stddef.h>

/* How many events one request may hold. */
#define PUBLISH_MAX 1000

struct publish_item {
	struct event_input event;
	bool persistent;
	struct buf line; /* for the daemons, when not persistent */
	char id[EVH_ID_TEXT];
};

struct publish_batch {
	struct publish_item *items;
	size_t count;
	bool array;   /* the request is an array, even if of one */
	size_t fresh; /* stored or sent now: not repeats of a dedup_id */
};

/* Looks the type up, and readies the event for the daemons if it is not kept.
 * False with a fault in call->error: 400 if there is no such type (prefix as
 * for event_parse), 413 if no control line can hold it, 503. */
bool
publish_prepare(struct publish_item *item, struct context *ctx, struct call *call, const char *prefix);

/* Stores the persistent events, all or none, and fills their ids.  An event
 * whose dedup_id is known is not stored again: its id is that of the first. */
bool publish_store(struct publish_batch *batch, struct context *ctx, struct call *call);

/* Hands the others to every daemon; the id is that of the first to answer.
 * False with a 503 as soon as one event reached no daemon. */
bool publish_send(struct publish_batch *batch, struct context *ctx, struct call *call);

void publish_free(struct publish_batch *batch);

#endif
