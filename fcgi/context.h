/* context.h - what one thread keeps from request to request: its database
 * connection, the statements prepared on it, and its control connections.
 *
 * A context belongs to one thread.  The connection is opened when a request
 * first needs it, and again after an error that a new one may cure, so a
 * database that comes back needs no restart. */

#ifndef EVH_FCGI_CONTEXT_H
#define EVH_FCGI_CONTEXT_H

#include "common/api_error.h"
#include "common/auth.h"
#include "common/conf.h"
#include "common/db.h"
#include "fcgi/daemon_link.h"
#include "fcgi/keys.h"

#include <sqlite3.h>
#include <stdbool.h>

struct writer;

/* How long a statement waits for another writer. */
#define CONTEXT_BUSY_MS 5000

/* Their SQL is in context.c. */
enum statement {
	STATEMENT_BEGIN,
	STATEMENT_COMMIT,
	STATEMENT_ROLLBACK,
	STATEMENT_SAVEPOINT,
	STATEMENT_TAKE_BACK, /* what was done since the savepoint */
	STATEMENT_RELEASE,
	STATEMENT_PROBE,	   /* -> seq of the newest event */
	STATEMENT_CLIENT,	   /* id -> user_id, daemon, control_socket or NULL, allowed types */
	STATEMENT_EVENT_TYPE,	   /* name -> mandatory, persistent */
	STATEMENT_EVENT_TYPES,	   /* -> name, description, mandatory, persistent ... */
	STATEMENT_SUBSCRIPTIONS,   /* client_id -> event_type ... */
	STATEMENT_SUBSCRIBE,	   /* client_id, event_type */
	STATEMENT_UNSUBSCRIBE,	   /* client_id, event_type */
	STATEMENT_LAST_CHANGE,	   /* -> seq */
	STATEMENT_DEDUP,	   /* dedup_id -> seq */
	STATEMENT_PUBLISH,	   /* event_type, message, body, client_id, user_id, dedup_id -> seq */
	STATEMENT_TICKET,	   /* hash, expires_at, and what is known of the caller; see ticket.c */
	STATEMENT_TICKETS_EXPIRED, /* removes some of them */
	STATEMENT_DAEMONS,	   /* -> name, control_socket ... */
	STATEMENT_CLIENTS,	   /* -> the columns of v_clients ... */
	STATEMENT_CLIENTS_OF_USER, /* user_id -> the same; walks all clients */
	STATEMENT_CLIENTS_BY_ID,   /* user_id, ids as JSON -> those that are this user's */
	STATEMENT_UPTIME,	   /* -> start_time, uptime, as v_stats has them */
	STATEMENT_STATS,	   /* -> the columns of v_stats, which walks all subscriptions */
	STATEMENT_COUNT
};

struct context {
	const struct conf *conf;
	struct writer *writer; /* of the process; NULL in its own context */
	struct keys *keys;     /* of JWTs; NULL: none.  Set after context_init */
	sqlite3 *db;	       /* NULL while it is not open */
	struct auth *auth;
	sqlite3_stmt *statements[STATEMENT_COUNT];
	char epoch[EVH_EPOCH_TEXT];
	bool suspect; /* open anew before the next request */
	struct daemon_links links;
};

/* Opens nothing yet.  conf and writer must outlive ctx. */
void context_init(struct context *ctx, const struct conf *conf, struct writer *writer);
void context_free(struct context *ctx);

/* Makes sure that the database is open, and the one that is there now. */
enum evh_rc context_ready(struct context *ctx);

/* The same.  False with a 503 in e. */
bool context_open(struct context *ctx, struct api_error *e);

/* Ends every statement and lets go of what was bound. */
void context_reset(struct context *ctx);

/* … and rolls back what was not committed. */
void context_rest(struct context *ctx);

/* The statement, ready to be bound.  What is bound by db_bind_text must live
 * until context_rest or the next call for the same statement. */
sqlite3_stmt *context_statement(struct context *ctx, enum statement which);

/* Goes to the next row.  EVH_OK: *row tells whether there is one; without
 * one the statement has been reset. */
enum evh_rc context_step(struct context *ctx, sqlite3_stmt *statement, bool *row);

/* Runs a statement that has nothing to bind and returns no row. */
enum evh_rc context_run(struct context *ctx, enum statement which);

/* Ends a transaction, if there is one. */
void context_rollback(struct context *ctx);

/* Turns a database error into a 503 in e.  Nothing has been stored. */
void context_fault(struct context *ctx, enum evh_rc rc, struct api_error *e);

/* Remembers that the connection failed with rc. */
void context_suspect(struct context *ctx, enum evh_rc rc);

#endif
