/* session.h - the life of a connection: admission, welcome, messages,
 * keepalive, and the end.  Ties the server, the hub and the store together,
 * and applies what others change in the database to live clients. */

#ifndef EVH_WSD_SESSION_H
#define EVH_WSD_SESSION_H

#include "common/auth.h"
#include "common/conf.h"
#include "common/verifier.h"
#include "wsd/feed.h"
#include "wsd/hub.h"
#include "wsd/metrics.h"
#include "wsd/server.h"
#include "wsd/store.h"

#include <sqlite3.h>

struct sessions;

struct session_setup {
	const struct conf *conf;
	struct hub *hub;
	struct store *store;
	struct metrics *metrics; /* is counted in */
	sqlite3 *db;		 /* for reading, in the service loop */
	sqlite3 *auth_db;	 /* the same, for credentials alone */
	/* Makes sure that the feed has handed on every event up to seq. */
	void (*catch_up)(void *arg, uint64_t seq);
	/* Has the feed hand on what is new, as far as it can. */
	void (*look)(void *arg);
	/* Something that the feed was waiting for has happened. */
	void (*feed_again)(void *arg);
	void *arg;
};

/* On failure why (CONF_WHY_BYTES) may hold the reason. */
enum evh_rc sessions_new(struct sessions **out, const struct session_setup *setup, char *why);
/* The verifier of JWTs from now on; NULL: they are not taken. */
void sessions_set_verifier(struct sessions *sessions, struct verifier *verifier);
void sessions_free(struct sessions **sessions);

/* What the server calls. */
struct server_handlers sessions_handlers(struct sessions *sessions);

/* hub_ops.dirty, whose arg is the sessions. */
void sessions_dirty(void *sessions, struct client *client);

/* feed_sink.change, whose arg is the sessions. */
bool sessions_change(void *sessions, const struct feed_change *change);

/* How often sessions_tick is to be called, µs. */
int64_t sessions_tick_us(const struct sessions *sessions);
void sessions_tick(struct sessions *sessions);

/* Writes the rows of clients that have changed. */
void sessions_write_dirty(struct sessions *sessions);

/* Refuses newcomers and closes up to count clients with 1012; returns how
 * many connections there still are. */
size_t sessions_drain(struct sessions *sessions, size_t count);

/* To be called at the end of each turn of the loop: handshakes of one turn look
 * credentials up in one read transaction, which ends here. */
void sessions_turn_ends(struct sessions *sessions);

/* The store is gone: what happens from now on is not recorded. */
void sessions_forget_store(struct sessions *sessions);

#endif
