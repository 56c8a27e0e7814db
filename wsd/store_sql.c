#include "wsd/store_sql.h"

#include "common/clock.h"
#include "common/db.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How many rows one purge removes, so that it never holds others up for long. */
#define PURGE_ROWS 1000

/* How many credentials' last use is remembered, so that not every client that
 * joins asks the table; a power of two. */
#define USES 256

/* How long records of changes are kept: for who wants to look, when every daemon
 * has applied them, and else for a daemon that stands still or is gone for good. */
#define CHANGE_KEPT "-1 minute"
#define CHANGE_KEPT_FOR_OTHERS "-1 hour"

enum statement {
	SQL_BEGIN,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_HEAD,
	SQL_TICKET_USE,
	SQL_CLIENT_ADD,
	SQL_SUBSCRIBE,
	SQL_CREDENTIAL_USED,
	SQL_PURGED,
	SQL_CLIENT_DELETE,
	SQL_SUBSCRIPTIONS_DELETE,
	SQL_UNSUBSCRIBE,
	SQL_TYPE,
	SQL_EVENT_ADD,
	SQL_EVENT_BY_DEDUP,
	SQL_TOUCH,
	SQL_STATUS,
	SQL_PURGE_TYPES,
	SQL_PURGE_AGE,
	SQL_PURGE_COUNT,
	SQL_PURGE_MARK,
	SQL_PURGE_DELETE,
	SQL_PURGE_CHANGES,
	SQL_PURGE_TICKETS,
	SQL_COUNT,
};

static const char *const texts[SQL_COUNT] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_HEAD] = "SELECT seq FROM v_event_head",
	[SQL_TICKET_USE] =
		"DELETE FROM ticket WHERE hash = ?1 AND julianday(expires_at) > julianday('now')",
	[SQL_CLIENT_ADD] =
		"INSERT INTO client(id, user_id, username, credential_id, daemon, remote_addr,"
		" user_agent, connected_at, event_types) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
	[SQL_SUBSCRIBE] =
		"INSERT INTO subscription(client_id, event_type, created_at) VALUES (?1, ?2, ?3)",
	[SQL_CREDENTIAL_USED] =
		"UPDATE credential SET last_used_at = ?2 WHERE id = ?1 AND"
		" (last_used_at IS NULL OR substr(last_used_at, 1, 16) < substr(?2, 1, 16))",
	[SQL_PURGED] = "SELECT seq FROM event_purged WHERE event_type = ?1",
	[SQL_CLIENT_DELETE] = "DELETE FROM client WHERE id = ?1",
	[SQL_UNSUBSCRIBE] =
		"DELETE FROM subscription WHERE client_id = ?1 AND event_type = ?2 AND NOT EXISTS"
		" (SELECT 1 FROM change WHERE seq > ?3 AND kind = 'subscribe' AND client_id = ?1"
		" AND event_type = ?2)",
	[SQL_SUBSCRIPTIONS_DELETE] = "DELETE FROM subscription WHERE client_id = ?1",
	[SQL_TYPE] = "SELECT persistent FROM event_type WHERE name = ?1",
	[SQL_EVENT_ADD] = "INSERT INTO event(event_type, message, body, client_id, user_id, dedup_id)"
			  " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[SQL_EVENT_BY_DEDUP] = "SELECT seq FROM event WHERE dedup_id = ?1",
	[SQL_TOUCH] =
		"UPDATE client SET queue_depth = ?2,"
		" last_ping_at = coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', ?3, 'unixepoch'), last_ping_at),"
		" last_pong_at = coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', ?4, 'unixepoch'), last_pong_at)"
		" WHERE id = ?1",
	/* if the row was deleted, it is written anew */
	[SQL_STATUS] =
		"INSERT INTO daemon(name, pid, control_socket, started_at, seen_at, messages_sent, change_seq)"
		" VALUES (?1, ?2, ?3, ?4, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), ?5, ?6)"
		" ON CONFLICT (name) DO UPDATE SET messages_sent = excluded.messages_sent,"
		" seen_at = excluded.seen_at, change_seq = excluded.change_seq",
	[SQL_PURGE_TYPES] = "SELECT name, retain_seconds, retain_count FROM event_type"
			    " WHERE retain_seconds > 0 OR retain_count > 0",
	/* the newest event to go: too old, with none before it that is not, looking at the
	 * oldest ?3; or one too many.  What is of the future says nothing. */
	[SQL_PURGE_AGE] =
		"WITH oldest AS (SELECT seq, created_at AS at FROM event WHERE event_type = ?1"
		" ORDER BY seq LIMIT ?3), cutoff AS (SELECT"
		" strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-' || ?2 || ' seconds') AS at)"
		" SELECT max(seq) FROM oldest WHERE at < (SELECT at FROM cutoff) AND seq <"
		" coalesce((SELECT min(seq) FROM oldest WHERE at >= (SELECT at FROM cutoff)"
		" AND at <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+1 minute')), 9223372036854775807)",
	[SQL_PURGE_COUNT] =
		"SELECT seq FROM event WHERE event_type = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2",
	[SQL_PURGE_MARK] =
		"INSERT INTO event_purged(event_type, seq) SELECT ?1, upto FROM (SELECT max(seq) AS upto"
		" FROM (SELECT seq FROM event WHERE event_type = ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3))"
		" WHERE upto IS NOT NULL"
		" ON CONFLICT (event_type) DO UPDATE SET seq = max(seq, excluded.seq)",
	[SQL_PURGE_DELETE] =
		"DELETE FROM event WHERE seq IN (SELECT seq FROM event WHERE event_type = ?1"
		" AND seq <= ?2 ORDER BY seq LIMIT ?3)",
	[SQL_PURGE_CHANGES] =
		"DELETE FROM change WHERE seq IN (SELECT seq FROM"
		" (SELECT seq, created_at FROM change ORDER BY seq LIMIT ?1) WHERE created_at <"
		" strftime('%Y-%m-%dT%H:%M:%fZ', 'now', CASE WHEN seq <="
		" (SELECT min(change_seq) FROM daemon) THEN '" CHANGE_KEPT
		"' ELSE '" CHANGE_KEPT_FOR_OTHERS "' END) ORDER BY seq LIMIT ?1)",
	[SQL_PURGE_TICKETS] =
		"DELETE FROM ticket WHERE hash IN (SELECT hash FROM ticket WHERE expires_at <"
		" strftime('%Y-%m-%dT%H:%M:%fZ', 'now') LIMIT ?1)",
};

struct use {
	int64_t credential_id, minute;
};

struct store_sql {
	sqlite3 *db;
	char *daemon, *control_socket;
	char started_at[CLOCK_TEXT_BYTES];
	bool head_known; /* in this transaction */
	int64_t head;	 /* the newest event */
	struct use uses[USES];
	sqlite3_stmt *statements[SQL_COUNT];
};

void
store_sql_free(struct store_sql **sql)
{
	if (*sql == NULL)
		return;
	for (int i = 0; i < SQL_COUNT; i++)
		(void)sqlite3_finalize((*sql)->statements[i]);
	free((*sql)->daemon);
	free((*sql)->control_socket);
	free(*sql);
	*sql = NULL;
}

enum evh_rc
store_sql_new(struct store_sql **out, sqlite3 *db, const struct conf *conf)
{
	struct store_sql *s = calloc(1, sizeof(*s));
	enum evh_rc rc = EVH_OK;

	*out = NULL;
	if (s == NULL)
		return EVH_NOMEM;
	s->db = db;
	clock_format(clock_now_us(), s->started_at);
	s->daemon = strdup(conf->name);
	s->control_socket = strdup(conf->control_socket);
	if (s->daemon == NULL || s->control_socket == NULL)
		rc = EVH_NOMEM;
	for (int i = 0; rc == EVH_OK && i < SQL_COUNT; i++)
		rc = db_prepare(db, texts[i], &s->statements[i]);
	if (rc != EVH_OK)
		store_sql_free(&s);
	*out = s;
	return rc;
}

/* Runs a statement that is bound already and returns no row of interest. */
static enum evh_rc
finish(sqlite3_stmt *stmt)
{
	int rc = sqlite3_step(stmt);

	(void)sqlite3_reset(stmt);
	return db_rc(rc);
}

/* Runs a statement that returns one integer; EVH_NOT_FOUND without a row or with NULL. */
static enum evh_rc
one_number(sqlite3_stmt *stmt, int64_t *value)
{
	int step = sqlite3_step(stmt);
	enum evh_rc rc = db_rc(step);

	if (step == SQLITE_DONE || (step == SQLITE_ROW && sqlite3_column_type(stmt, 0) == SQLITE_NULL))
		rc = EVH_NOT_FOUND;
	else if (step == SQLITE_ROW)
		*value = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_reset(stmt);
	return rc;
}

enum evh_rc
store_sql_begin(struct store_sql *s)
{
	s->head_known = false; /* others have written in the meantime */
	return finish(s->statements[SQL_BEGIN]);
}

enum evh_rc
store_sql_commit(struct store_sql *s)
{
	return finish(s->statements[SQL_COMMIT]);
}

void
store_sql_rollback(struct store_sql *s)
{
	(void)finish(s->statements[SQL_ROLLBACK]);
	memset(s->uses, 0, sizeof(s->uses)); /* what they say may have been undone */
}

static void
bind_client(sqlite3_stmt *stmt, int index, const uint8_t *id)
{
	char text[EVH_UUID_TEXT];

	evh_uuid_format(id, text);
	(void)sqlite3_bind_text(stmt, index, text, -1, SQLITE_TRANSIENT);
}

static enum evh_rc
leave(struct store_sql *s, struct store_op *op)
{
	enum evh_rc rc;

	bind_client(s->statements[SQL_SUBSCRIPTIONS_DELETE], 1, op->client);
	rc = finish(s->statements[SQL_SUBSCRIPTIONS_DELETE]);
	if (rc != EVH_OK)
		return rc;
	bind_client(s->statements[SQL_CLIENT_DELETE], 1, op->client);
	return finish(s->statements[SQL_CLIENT_DELETE]);
}

static enum evh_rc
unsubscribe(struct store_sql *s, struct store_op *op)
{
	sqlite3_stmt *st = s->statements[SQL_UNSUBSCRIBE];
	enum evh_rc rc = EVH_OK;

	for (size_t i = 0; rc == EVH_OK && i < op->u.unsubscribe.types.count; i++) {
		bind_client(st, 1, op->client);
		db_bind_text(st, 2, op->u.unsubscribe.types.names[i]);
		(void)sqlite3_bind_int64(st, 3, (sqlite3_int64)op->u.unsubscribe.change_seq);
		rc = finish(st);
	}
	return rc;
}

/* Whether everything after resume_seq is still there for these types. */
static enum evh_rc
judge_resume(struct store_sql *s, struct store_op *op, uint64_t head)
{
	op->u.join.start_seq = head;
	if (!op->u.join.resume)
		return EVH_OK;
	if (op->u.join.resume_seq > head) {
		op->u.join.resumed = RESUME_UNKNOWN;
		return EVH_OK;
	}
	for (size_t i = 0; i < op->u.join.types.count; i++) {
		int64_t purged = 0;
		enum evh_rc rc;

		db_bind_text(s->statements[SQL_PURGED], 1, op->u.join.types.names[i]);
		rc = one_number(s->statements[SQL_PURGED], &purged);
		if (rc != EVH_OK && rc != EVH_NOT_FOUND)
			return rc;
		if ((uint64_t)purged > op->u.join.resume_seq) {
			op->u.join.resumed = RESUME_EXPIRED;
			return EVH_OK;
		}
	}
	op->u.join.resumed = RESUME_OK;
	op->u.join.start_seq = op->u.join.resume_seq;
	return EVH_OK;
}

static enum evh_rc
add_client(struct store_sql *s, struct store_op *op, const char *now)
{
	sqlite3_stmt *st = s->statements[SQL_CLIENT_ADD];

	bind_client(st, 1, op->client);
	db_bind_text(st, 2, op->u.join.user_id);
	db_bind_text(st, 3, op->u.join.username);
	if (op->u.join.credential_id != 0)
		(void)sqlite3_bind_int64(st, 4, op->u.join.credential_id);
	else
		(void)sqlite3_bind_null(st, 4);
	db_bind_text(st, 5, s->daemon);
	db_bind_text(st, 6, op->u.join.remote_addr);
	db_bind_text(st, 7, op->u.join.user_agent);
	db_bind_text(st, 8, now);
	db_bind_text(st, 9, op->u.join.allowed);
	return finish(st);
}

/* EVH_NOT_FOUND if the ticket has gone since it was looked at. */
static enum evh_rc
use_ticket(struct store_sql *s, const char *hash)
{
	enum evh_rc rc;

	if (hash == NULL)
		return EVH_OK;
	db_bind_text(s->statements[SQL_TICKET_USE], 1, hash);
	rc = finish(s->statements[SQL_TICKET_USE]);
	return rc == EVH_OK && sqlite3_changes(s->db) == 0 ? EVH_NOT_FOUND : rc;
}

/* Credentials remember the minute of their last use. */
static enum evh_rc
note_use(struct store_sql *s, int64_t credential_id, int64_t now_us, const char *now)
{
	struct use *use = &s->uses[(uint64_t)credential_id % USES];
	sqlite3_stmt *st = s->statements[SQL_CREDENTIAL_USED];
	enum evh_rc rc;

	if (use->credential_id == credential_id && use->minute == now_us / 60000000)
		return EVH_OK;
	(void)sqlite3_bind_int64(st, 1, credential_id);
	db_bind_text(st, 2, now);
	rc = finish(st);
	if (rc == EVH_OK)
		*use = (struct use){ credential_id, now_us / 60000000 };
	return rc;
}

static enum evh_rc
newest_event(struct store_sql *s, int64_t *seq)
{
	enum evh_rc rc = EVH_OK;

	if (!s->head_known)
		rc = one_number(s->statements[SQL_HEAD], &s->head);
	s->head_known = rc == EVH_OK;
	*seq = s->head;
	return rc;
}

static enum evh_rc
join(struct store_sql *s, struct store_op *op)
{
	char now[CLOCK_TEXT_BYTES];
	sqlite3_stmt *st = s->statements[SQL_SUBSCRIBE];
	int64_t head = 0;
	enum evh_rc rc;

	clock_format(op->u.join.connected_at, now);
	rc = use_ticket(s, op->u.join.ticket);
	if (rc != EVH_OK)
		return rc; /* nothing is there yet */
	rc = add_client(s, op, now);
	for (size_t i = 0; rc == EVH_OK && i < op->u.join.types.count; i++) {
		bind_client(st, 1, op->client);
		db_bind_text(st, 2, op->u.join.types.names[i]);
		db_bind_text(st, 3, now);
		rc = finish(st);
	}
	if (rc == EVH_OK)
		rc = note_use(s, op->u.join.credential_id, op->u.join.connected_at, now);
	if (rc == EVH_OK)
		rc = newest_event(s, &head);
	if (rc == EVH_OK)
		rc = judge_resume(s, op, (uint64_t)head);
	if (rc != EVH_OK)
		(void)leave(s, op); /* no half of it may stay */
	return rc;
}

static enum evh_rc
publish(struct store_sql *s, struct store_op *op)
{
	sqlite3_stmt *st = s->statements[SQL_TYPE];
	int64_t persistent = 0, seq = 0;
	enum evh_rc rc;

	op->u.publish.duplicate = false;
	db_bind_text(st, 1, op->u.publish.event_type);
	rc = one_number(st, &persistent);
	if (rc == EVH_OK && persistent == 0)
		rc = EVH_NOT_FOUND;
	if (rc != EVH_OK)
		return rc;
	if (op->u.publish.dedup_id != NULL) {
		db_bind_text(s->statements[SQL_EVENT_BY_DEDUP], 1, op->u.publish.dedup_id);
		rc = one_number(s->statements[SQL_EVENT_BY_DEDUP], &seq);
		if (rc == EVH_OK) {
			op->u.publish.seq = (uint64_t)seq;
			op->u.publish.duplicate = true;
		}
		if (rc != EVH_NOT_FOUND)
			return rc;
	}
	st = s->statements[SQL_EVENT_ADD];
	db_bind_text(st, 1, op->u.publish.event_type);
	(void)sqlite3_bind_text(
		st, 2, op->u.publish.message, (int)op->u.publish.message_len, SQLITE_STATIC);
	if (op->u.publish.body != NULL)
		(void)sqlite3_bind_text(
			st, 3, op->u.publish.body, (int)op->u.publish.body_len, SQLITE_STATIC);
	else
		(void)sqlite3_bind_null(st, 3);
	db_bind_text(st, 4, op->u.publish.client_id);
	db_bind_text(st, 5, op->u.publish.user_id);
	db_bind_text(st, 6, op->u.publish.dedup_id);
	rc = finish(st);
	op->u.publish.seq = (uint64_t)sqlite3_last_insert_rowid(s->db);
	s->head_known = false;
	return rc;
}

static enum evh_rc
touch(struct store_sql *s, struct store_op *op)
{
	sqlite3_stmt *st = s->statements[SQL_TOUCH];

	bind_client(st, 1, op->client);
	(void)sqlite3_bind_int64(st, 2, op->u.touch.queue_depth);
	if (op->u.touch.ping_at != 0)
		(void)sqlite3_bind_int64(st, 3, op->u.touch.ping_at);
	else
		(void)sqlite3_bind_null(st, 3);
	if (op->u.touch.pong_at != 0)
		(void)sqlite3_bind_int64(st, 4, op->u.touch.pong_at);
	else
		(void)sqlite3_bind_null(st, 4);
	return finish(st);
}

static enum evh_rc
status(struct store_sql *s, struct store_op *op)
{
	sqlite3_stmt *st = s->statements[SQL_STATUS];

	db_bind_text(st, 1, s->daemon);
	(void)sqlite3_bind_int64(st, 2, getpid());
	db_bind_text(st, 3, s->control_socket);
	db_bind_text(st, 4, s->started_at);
	(void)sqlite3_bind_int64(st, 5, (sqlite3_int64)op->u.status.messages_sent);
	(void)sqlite3_bind_int64(st, 6, (sqlite3_int64)op->u.status.change_seq);
	return finish(st);
}

/* Removes events of one type up to seq, oldest first, a bounded number. */
static enum evh_rc
purge_type(struct store_sql *s, const char *name, int64_t seq, bool *more)
{
	static const enum statement both[] = { SQL_PURGE_MARK, SQL_PURGE_DELETE };
	enum evh_rc rc = EVH_OK;

	for (int i = 0; rc == EVH_OK && i < 2; i++) {
		sqlite3_stmt *st = s->statements[both[i]];

		db_bind_text(st, 1, name);
		(void)sqlite3_bind_int64(st, 2, seq);
		(void)sqlite3_bind_int64(st, 3, PURGE_ROWS);
		rc = finish(st);
	}
	if (sqlite3_changes(s->db) >= PURGE_ROWS)
		*more = true;
	return rc;
}

/* Finds the newest event of a type that has to go by one rule, and purges up to it. */
static enum evh_rc
purge_by(struct store_sql *s, sqlite3_stmt *rule, const char *name, int64_t limit, bool *more)
{
	int64_t seq = 0;
	enum evh_rc rc;

	if (limit == 0)
		return EVH_OK;
	db_bind_text(rule, 1, name);
	(void)sqlite3_bind_int64(rule, 2, limit);
	rc = one_number(rule, &seq);
	if (rc == EVH_NOT_FOUND)
		return EVH_OK;
	return rc != EVH_OK ? rc : purge_type(s, name, seq, more);
}

static enum evh_rc
purge(struct store_sql *s, struct store_op *op)
{
	sqlite3_stmt *types = s->statements[SQL_PURGE_TYPES];
	enum evh_rc rc = EVH_OK;
	int step = SQLITE_DONE;

	op->u.purge.more = false;
	(void)sqlite3_bind_int64(s->statements[SQL_PURGE_AGE], 3, PURGE_ROWS);
	while (rc == EVH_OK && (step = sqlite3_step(types)) == SQLITE_ROW) {
		rc = purge_by(s, s->statements[SQL_PURGE_AGE], db_text(types, 0),
			sqlite3_column_int64(types, 1), &op->u.purge.more);
		if (rc == EVH_OK)
			rc = purge_by(s, s->statements[SQL_PURGE_COUNT], db_text(types, 0),
				sqlite3_column_int64(types, 2), &op->u.purge.more);
	}
	if (rc == EVH_OK)
		rc = db_rc(step);
	(void)sqlite3_reset(types);
	if (rc != EVH_OK)
		return rc;
	(void)sqlite3_bind_int64(s->statements[SQL_PURGE_TICKETS], 1, PURGE_ROWS);
	rc = finish(s->statements[SQL_PURGE_TICKETS]);
	if (rc != EVH_OK)
		return rc;
	if (sqlite3_changes(s->db) >= PURGE_ROWS)
		op->u.purge.more = true;
	(void)sqlite3_bind_int64(s->statements[SQL_PURGE_CHANGES], 1, PURGE_ROWS);
	rc = finish(s->statements[SQL_PURGE_CHANGES]);
	if (rc == EVH_OK && sqlite3_changes(s->db) >= PURGE_ROWS)
		op->u.purge.more = true;
	return rc;
}

static enum evh_rc
dispatch(struct store_sql *s, struct store_op *op)
{
	switch (op->kind) {
	case STORE_JOIN:
		return join(s, op);
	case STORE_LEAVE:
		return leave(s, op);
	case STORE_UNSUBSCRIBE:
		return unsubscribe(s, op);
	case STORE_PUBLISH:
		return publish(s, op);
	case STORE_TOUCH:
		return touch(s, op);
	case STORE_STATUS:
		return status(s, op);
	case STORE_PURGE:
		return purge(s, op);
	}
	return EVH_INVALID;
}

enum evh_rc
store_sql_run(struct store_sql *s, struct store_op *op)
{
	op->rc = dispatch(s, op);
	switch (op->rc) {
	case EVH_OK:
	case EVH_NOT_FOUND: /* what was asked of this one alone */
	case EVH_INVALID:
	case EVH_TOO_LARGE:
		return EVH_OK;
	default:
		return op->rc;
	}
}
