/* inbound.h - what clients say on their WebSocket, and the answers.
 *
 * {"event_type":"health","message":"ping"} and its kind: a table of handlers
 * by event type and message.  Pure: text in, answer out. */

#ifndef EVH_WSD_INBOUND_H
#define EVH_WSD_INBOUND_H

#include "common/buf.h"

#include <stdbool.h>
#include <stddef.h>

#define INBOUND_REF_MAX 255

/* The answer to one message.  id, timestamp and client_id are the hub's. */
struct inbound_reply {
	const char *event_type, *message; /* constants */
	char ref_id[INBOUND_REF_MAX + 1]; /* "": the message had none */
	struct buf body;		  /* JSON, empty: none */
};

/* known says whether an event type exists. */
void inbound_answer(const char *text, size_t len, const char *client_id,
	bool (*known)(void *arg, const char *event_type), void *arg, struct inbound_reply *reply);

void inbound_reply_free(struct inbound_reply *reply);

#endif
