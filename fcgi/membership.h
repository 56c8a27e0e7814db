/* membership.h - a change to the event types of one live client: what
 * unsubscribe and subscriptions have in common.
 *
 * The fields of the request, the client and whose it is, one transaction in
 * which the endpoint decides on each type, the daemon's word, the answer. */

#ifndef EVH_FCGI_MEMBERSHIP_H
#define EVH_FCGI_MEMBERSHIP_H

#include "common/event_types.h"
#include "common/ids.h"
#include "fcgi/context.h"
#include "fcgi/endpoints.h"

#include <stdbool.h>

/* How an endpoint speaks of what it did. */
struct membership_words {
	const char *done;     /* "unsubscribed from" */
	const char *not_done; /* "not unsubscribed" */
	const char *member;   /* "unsubscribed": the member of the answer */
};

/* A name as it was asked for; only a valid one can be that of a type. */
struct membership_type {
	char name[EVENT_TYPE_MAX + 1];
	bool valid;
};

struct membership {
	const struct membership_words *words;
	char client_id[EVH_UUID_TEXT];			/* "" if what was sent is no UUID */
	const char *user_id;				/* whose client it must be; NULL: anybody's */
	struct membership_type wanted[EVENT_TYPES_MAX]; /* without repeats */
	size_t count;
	char *allowed;		 /* patterns of what the client may have; NULL: all */
	struct event_types have; /* what the client was subscribed to */
	char socket[DAEMON_PATH_BYTES];
	struct buf subscriptions;   /* what it is subscribed to in the end, as JSON */
	int64_t change;		    /* the last one that the daemon has to apply */
	struct buf done, done_json; /* the names done: "a, b" and "a","b" */
	struct buf faults;	    /* "c (not subscribed), d (mandatory)" */
	bool forbidden;		    /* the code of all of them is 403 */
};

/* Changes one type, which exists, and calls one of the two below; mandatory
 * tells of what kind it is.  EVH_OK unless the database fails. */
typedef enum evh_rc membership_apply(
	struct membership *m, struct context *ctx, struct call *call, const char *name, bool mandatory);

/* What became of a type.  reason is a few words for people. */
void membership_done(struct membership *m, const char *name);
void membership_fault(struct membership *m, struct call *call, int code, const char *error,
	const char *name, const char *reason);

/* Runs the whole request.  If nothing could be done, nothing is changed and
 * the faults of the types are the answer: 403 when the code of all is 403,
 * else 400. */
void membership_change(struct context *ctx, struct call *call, const struct membership_words *words,
	membership_apply *apply);

#endif
