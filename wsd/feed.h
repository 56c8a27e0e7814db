/* feed.h - what others committed, in the order of their commits.
 *
 * "Events after position P": everything above reads events and changes from
 * here and does not know where they come from.  This feed reads the tables
 * event and change.  A change records the newest event at its commit, so the
 * two tables merge into one exact order.
 *
 * Owned by the service loop.  Reads only what has just been written, which is
 * in the page cache. */

#ifndef EVH_WSD_FEED_H
#define EVH_WSD_FEED_H

#include "wsd/hub.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

enum feed_kind { FEED_SUBSCRIBE, FEED_UNSUBSCRIBE, FEED_DISCONNECT, FEED_CREDENTIAL, FEED_EVENT_TYPE };

/* What one writer changed: neighbouring subscriptions of one client come as
 * one change with several types.  Text lives until the callback returns. */
struct feed_change {
	enum feed_kind kind;
	const char *client_id;
	int64_t credential_id;
	const char *const *types; /* SUBSCRIBE, UNSUBSCRIBE, EVENT_TYPE (one) */
	uint32_t type_count;
	uint64_t seq; /* its place among all changes */
};

struct feed_sink {
	/* Anything but EVH_OK: it will be offered again. */
	enum evh_rc (*event)(void *arg, const struct hub_event *event);
	/* False: cannot be applied yet; it will be offered again. */
	bool (*change)(void *arg, const struct feed_change *change);
	void *arg;
};

struct feed;

/* A feed that begins at the present end of both tables of db (which must
 * outlive it).  head gets the newest event's sequence number. */
enum evh_rc feed_new(struct feed **out, sqlite3 *db, const struct feed_sink *sink, uint64_t *head);
void feed_free(struct feed **feed);

/* Whether anybody has committed since the last call, cheaply. */
bool feed_changed(struct feed *feed);

/* Hands on what is new, at most about budget events.  *more: call again. */
enum evh_rc feed_poll(struct feed *feed, uint32_t budget, bool *more);

/* The last event and the last change that were handed on. */
uint64_t feed_event_seq(const struct feed *feed);
uint64_t feed_change_seq(const struct feed *feed);

#endif
