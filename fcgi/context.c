#include "fcgi/context.h"

#include "common/log.h"

#include <string.h>

#define CLIENT_COLUMNS                                                                                     \
	"id, user_id, username, connected_at, last_ping_at, last_pong_at, event_subscriptions, is_alive, " \
	"queue_depth, daemon"

static const char *const sql[STATEMENT_COUNT] = {
	[STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
	[STATEMENT_COMMIT] = "COMMIT",
	[STATEMENT_ROLLBACK] = "ROLLBACK",
	[STATEMENT_SAVEPOINT] = "SAVEPOINT job",
	[STATEMENT_TAKE_BACK] = "ROLLBACK TO job",
	[STATEMENT_RELEASE] = "RELEASE job",
	[STATEMENT_PROBE] = "SELECT seq FROM v_event_head",
	[STATEMENT_CLIENT] = "SELECT c.user_id, c.daemon, d.control_socket, a.event_types"
			     " FROM client c LEFT JOIN daemon d ON d.name = c.daemon"
			     " JOIN v_client_allowed a ON a.client_id = c.id WHERE c.id = ?1",
	[STATEMENT_EVENT_TYPE] = "SELECT mandatory, persistent FROM event_type WHERE name = ?1",
	[STATEMENT_EVENT_TYPES] =
		"SELECT name, description, mandatory, persistent FROM event_type ORDER BY name",
	[STATEMENT_SUBSCRIPTIONS] =
		"SELECT event_type FROM subscription WHERE client_id = ?1 ORDER BY event_type",
	[STATEMENT_SUBSCRIBE] = "INSERT INTO subscription(client_id, event_type) VALUES (?1, ?2)",
	[STATEMENT_UNSUBSCRIBE] = "DELETE FROM subscription WHERE client_id = ?1 AND event_type = ?2",
	[STATEMENT_LAST_CHANGE] = "SELECT max(seq) FROM change",
	[STATEMENT_DEDUP] = "SELECT seq FROM event WHERE dedup_id = ?1",
	[STATEMENT_PUBLISH] =
		"INSERT INTO event(event_type, message, body, client_id, user_id, dedup_id)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING seq",
	[STATEMENT_TICKET] =
		"INSERT INTO ticket(hash, expires_at, user_id, username, credential_id, scopes,"
		" event_types, credential_expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	/* more than one ticket adds, so that they do not pile up without a daemon */
	[STATEMENT_TICKETS_EXPIRED] =
		"DELETE FROM ticket WHERE hash IN (SELECT hash FROM ticket WHERE expires_at <"
		" strftime('%Y-%m-%dT%H:%M:%fZ', 'now') LIMIT 10)",
	[STATEMENT_DAEMONS] = "SELECT name, control_socket FROM daemon ORDER BY name",
	[STATEMENT_CLIENTS] = "SELECT " CLIENT_COLUMNS " FROM v_clients ORDER BY connected_at, id",
	[STATEMENT_CLIENTS_OF_USER] =
		"SELECT " CLIENT_COLUMNS " FROM v_clients WHERE user_id = ?1 ORDER BY connected_at, id",
	[STATEMENT_UPTIME] = "SELECT min(started_at), CAST(strftime('%s', 'now') AS INTEGER) -"
			     " CAST(strftime('%s', min(started_at)) AS INTEGER) FROM daemon",
	[STATEMENT_CLIENTS_BY_ID] =
		"SELECT " CLIENT_COLUMNS " FROM v_clients"
		" WHERE id IN (SELECT value FROM json_each(?2)) AND user_id = ?1 ORDER BY connected_at, id",
	[STATEMENT_STATS] = "SELECT total_clients, total_subscriptions, type_stats, messages_sent, "
			    "start_time, uptime FROM v_stats",
};

void
context_init(struct context *ctx, const struct conf *conf, struct writer *writer)
{
	memset(ctx, 0, sizeof(*ctx));
	ctx->conf = conf;
	ctx->writer = writer;
	daemon_links_init(&ctx->links);
}

static void
close_database(struct context *ctx)
{
	for (int i = 0; i < STATEMENT_COUNT; i++) {
		(void)sqlite3_finalize(ctx->statements[i]);
		ctx->statements[i] = NULL;
	}
	auth_free(&ctx->auth);
	db_close(&ctx->db);
	ctx->suspect = false;
}

void
context_free(struct context *ctx)
{
	close_database(ctx);
	daemon_links_close(&ctx->links);
}

static enum evh_rc
open_database(struct context *ctx)
{
	const struct db_options options = {
		.path = ctx->conf->database,
		.mode = DB_WRITE, /* to make one is for evhub-wsd: it may be missed, not missing */
		.full_sync = ctx->conf->synchronous == CONF_SYNC_FULL,
		.triggers = true,
		.busy_ms = CONTEXT_BUSY_MS,
	};
	char why[DB_WHY_BYTES] = "";
	enum evh_rc rc = db_open(&options, &ctx->db, why);

	if (rc == EVH_OK) {
		rc = db_epoch(ctx->db, ctx->epoch);
		for (int i = 0; rc == EVH_OK && i < STATEMENT_COUNT; i++)
			rc = db_prepare(ctx->db, sql[i], &ctx->statements[i]);
		if (rc == EVH_OK)
			rc = auth_new(&ctx->auth, ctx->db);
	}
	if (rc != EVH_OK) {
		log_error("database_unavailable", "%s",
			why[0] != '\0'		  ? why
				: ctx->db != NULL ? sqlite3_errmsg(ctx->db)
						  : evh_rc_name(rc));
		close_database(ctx);
	}
	return rc;
}

enum evh_rc
context_ready(struct context *ctx)
{
	if (ctx->db != NULL && (ctx->suspect || db_moved(ctx->db)))
		close_database(ctx);
	return ctx->db != NULL ? EVH_OK : open_database(ctx);
}

bool
context_open(struct context *ctx, struct api_error *e)
{
	enum evh_rc rc = context_ready(ctx);

	if (rc != EVH_OK)
		context_fault(ctx, rc, e);
	return rc == EVH_OK;
}

void
context_reset(struct context *ctx)
{
	for (int i = 0; ctx->db != NULL && i < STATEMENT_COUNT; i++) {
		(void)sqlite3_reset(ctx->statements[i]);
		(void)sqlite3_clear_bindings(ctx->statements[i]);
	}
}

void
context_rest(struct context *ctx)
{
	context_reset(ctx);
	if (ctx->db != NULL)
		context_rollback(ctx);
}

sqlite3_stmt *
context_statement(struct context *ctx, enum statement which)
{
	sqlite3_stmt *s = ctx->statements[which];

	(void)sqlite3_reset(s);
	(void)sqlite3_clear_bindings(s);
	return s;
}

enum evh_rc
context_step(struct context *ctx, sqlite3_stmt *statement, bool *row)
{
	int step = sqlite3_step(statement);

	*row = step == SQLITE_ROW;
	if (*row)
		return EVH_OK;
	(void)sqlite3_reset(statement);
	context_suspect(ctx, db_rc(step));
	return db_rc(step);
}

enum evh_rc
context_run(struct context *ctx, enum statement which)
{
	bool row;

	return context_step(ctx, ctx->statements[which], &row);
}

void
context_rollback(struct context *ctx)
{
	if (sqlite3_get_autocommit(ctx->db) == 0)
		(void)context_run(ctx, STATEMENT_ROLLBACK);
}

void
context_suspect(struct context *ctx, enum evh_rc rc)
{
	/* these say something about the file or the handle; a lock, a full disk
	 * or a refused row do not */
	if (rc == EVH_NOT_FOUND || rc == EVH_FOREIGN || rc == EVH_IO || rc == EVH_READ_ONLY ||
		rc == EVH_DENIED)
		ctx->suspect = true;
}

void
context_fault(struct context *ctx, enum evh_rc rc, struct api_error *e)
{
	context_suspect(ctx, rc);
	if (ctx->db != NULL)
		log_warn("database_failed", "rc=\"%s\" detail=\"%s\"", evh_rc_name(rc),
			sqlite3_errmsg(ctx->db));
	switch (rc) {
	case EVH_BUSY:
		api_error_fail(e, 503, "database_busy", "database",
			"another program holds the database; nothing was stored, try again");
		return;
	case EVH_FULL:
		api_error_fail(e, 503, "database_full", "database",
			"there is no room left for the database; nothing was stored");
		return;
	case EVH_READ_ONLY:
		api_error_fail(e, 503, "database_read_only", "database",
			"the database cannot be written; nothing was stored");
		return;
	default:
		api_error_fail(e, 503, "database_unavailable", "database",
			"the database is unavailable (%s); nothing was stored", evh_rc_name(rc));
	}
}
