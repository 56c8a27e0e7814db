#include "wsd/feed.h"

#include "common/db.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>

struct feed {
	struct feed_sink sink;
	sqlite3 *db;
	sqlite3_stmt *version, *begin, *commit, *events, *changes;
	uint64_t event_seq, change_seq;
	int64_t data_version;
};

/* A change row, copied out of the statement so that neighbours can be joined. */
struct gathered {
	enum feed_kind kind;
	char client_id[EVH_UUID_TEXT];
	int64_t credential_id;
	uint64_t after_event, last_seq;
	char *types[EVENT_TYPES_MAX];
	uint32_t count;
	bool failed; /* out of memory: it is not whole */
};

static enum evh_rc
read_number(sqlite3_stmt *stmt, int64_t *value)
{
	int step = sqlite3_step(stmt);

	if (step == SQLITE_ROW)
		*value = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_reset(stmt);
	return db_rc(step);
}

static enum evh_rc
start_position(struct feed *f)
{
	sqlite3_stmt *stmt = NULL;
	int64_t events = 0, changes = 0;
	enum evh_rc rc = db_prepare(f->db,
		"SELECT (SELECT seq FROM v_event_head),"
		" coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'change'), 0)",
		&stmt);

	if (rc == EVH_OK && sqlite3_step(stmt) == SQLITE_ROW) {
		events = sqlite3_column_int64(stmt, 0);
		changes = sqlite3_column_int64(stmt, 1);
	} else if (rc == EVH_OK) {
		rc = EVH_IO;
	}
	(void)sqlite3_finalize(stmt);
	f->event_seq = (uint64_t)events;
	f->change_seq = (uint64_t)changes;
	return rc;
}

enum evh_rc
feed_new(struct feed **out, sqlite3 *db, const struct feed_sink *sink, uint64_t *head)
{
	struct feed *f = calloc(1, sizeof(*f));
	enum evh_rc rc;

	*out = NULL;
	if (f == NULL)
		return EVH_NOMEM;
	f->db = db;
	f->sink = *sink;
	rc = db_prepare(db, "PRAGMA data_version", &f->version);
	if (rc == EVH_OK)
		rc = db_prepare(db, "BEGIN", &f->begin);
	if (rc == EVH_OK)
		rc = db_prepare(db, "COMMIT", &f->commit);
	if (rc == EVH_OK)
		rc = db_prepare(db,
			"SELECT seq, event_type, message, body, client_id, user_id, created_at"
			" FROM event WHERE seq > ?1 ORDER BY seq",
			&f->events);
	if (rc == EVH_OK)
		rc = db_prepare(db,
			"SELECT seq, kind, client_id, event_type, credential_id, after_event"
			" FROM change WHERE seq > ?1 ORDER BY seq",
			&f->changes);
	if (rc == EVH_OK)
		rc = read_number(f->version, &f->data_version);
	if (rc == EVH_OK)
		rc = start_position(f);
	if (rc != EVH_OK) {
		feed_free(&f);
		return rc;
	}
	*head = f->event_seq;
	*out = f;
	return EVH_OK;
}

void
feed_free(struct feed **feed)
{
	struct feed *f = *feed;

	if (f == NULL)
		return;
	(void)sqlite3_finalize(f->version);
	(void)sqlite3_finalize(f->begin);
	(void)sqlite3_finalize(f->commit);
	(void)sqlite3_finalize(f->events);
	(void)sqlite3_finalize(f->changes);
	free(f);
	*feed = NULL;
}

bool
feed_changed(struct feed *f)
{
	int64_t now = f->data_version;
	bool changed;

	if (read_number(f->version, &now) != EVH_OK)
		return true; /* let the poll find out what is wrong */
	changed = now != f->data_version;
	f->data_version = now;
	return changed;
}

uint64_t
feed_event_seq(const struct feed *feed)
{
	return feed->event_seq;
}

uint64_t
feed_change_seq(const struct feed *feed)
{
	return feed->change_seq;
}

static enum evh_rc
hand_on_event(struct feed *f, sqlite3_stmt *row)
{
	struct hub_event e = {
		.seq = (uint64_t)sqlite3_column_int64(row, 0),
		.event_type = db_text(row, 1),
		.message = db_text(row, 2),
		.message_len = (size_t)sqlite3_column_bytes(row, 2),
		.body = (const char *)sqlite3_column_text(row, 3),
		.body_len = (size_t)sqlite3_column_bytes(row, 3),
		.client_id = (const char *)sqlite3_column_text(row, 4),
		.user_id = (const char *)sqlite3_column_text(row, 5),
		.timestamp = db_text(row, 6),
	};

	enum evh_rc rc;

	/* a name that is lost must not make an event everybody's */
	if ((e.client_id == NULL && sqlite3_column_type(row, 4) != SQLITE_NULL) ||
		(e.user_id == NULL && sqlite3_column_type(row, 5) != SQLITE_NULL) ||
		(e.body == NULL && sqlite3_column_type(row, 3) != SQLITE_NULL))
		return EVH_NOMEM;
	rc = f->sink.event(f->sink.arg, &e);
	if (rc == EVH_OK)
		f->event_seq = e.seq;
	return rc;
}

static bool
kind_of(const char *text, enum feed_kind *kind)
{
	static const char *const names[] = {
		[FEED_SUBSCRIBE] = "subscribe",
		[FEED_UNSUBSCRIBE] = "unsubscribe",
		[FEED_DISCONNECT] = "disconnect",
		[FEED_CREDENTIAL] = "credential",
		[FEED_EVENT_TYPE] = "event_type",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) == 0) {
			*kind = (enum feed_kind)i;
			return true;
		}
	}
	return false;
}

/* Adds the row to g if it goes on with the same thing for the same client. */
static bool
gather(struct gathered *g, sqlite3_stmt *row)
{
	enum feed_kind kind;
	const char *client_id = db_text(row, 2), *type = db_text(row, 3);
	uint64_t after = (uint64_t)sqlite3_column_int64(row, 5);
	bool known = kind_of(db_text(row, 1), &kind) && strlen(client_id) < EVH_UUID_TEXT;

	if (g->last_seq != 0) {
		if (!known || kind != g->kind || (kind != FEED_SUBSCRIBE && kind != FEED_UNSUBSCRIBE) ||
			strcmp(client_id, g->client_id) != 0 || after != g->after_event ||
			g->count == EVENT_TYPES_MAX)
			return false;
	} else if (known) {
		g->kind = kind;
		memcpy(g->client_id, client_id, strlen(client_id) + 1);
		g->credential_id = sqlite3_column_int64(row, 4);
		g->after_event = after;
	} else {
		/* a row that nobody can act on must not hold up the rest */
		log_warn("change_ignored", "seq=%lld kind=\"%.32s\"",
			(long long)sqlite3_column_int64(row, 0), db_text(row, 1));
		g->kind = FEED_EVENT_TYPE;
		g->after_event = after;
	}
	if (known && type[0] != '\0') {
		g->types[g->count] = strdup(type);
		if (g->types[g->count] != NULL)
			g->count++;
		else
			g->failed = true;
	}
	g->last_seq = (uint64_t)sqlite3_column_int64(row, 0);
	return true;
}

static void
gathered_clear(struct gathered *g)
{
	for (uint32_t i = 0; i < g->count; i++)
		free(g->types[i]);
	g->count = 0;
	g->last_seq = 0;
	g->failed = false;
}

/* Reads the next change with its neighbours into g; *row says whether the
 * statement stands on a row that was not used yet. */
static int
next_change(struct feed *f, struct gathered *g, int row)
{
	gathered_clear(g);
	while (row == SQLITE_ROW && gather(g, f->changes))
		row = sqlite3_step(f->changes);
	if (g->failed) { /* half of an unsubscribe must not pass for all of it */
		gathered_clear(g);
		return SQLITE_NOMEM;
	}
	return row;
}

static bool
hand_on_change(struct feed *f, const struct gathered *g)
{
	struct feed_change c = {
		.kind = g->kind,
		.client_id = g->client_id,
		.credential_id = g->credential_id,
		.types = (const char *const *)g->types,
		.type_count = g->count,
		.seq = g->last_seq,
	};

	if (!f->sink.change(f->sink.arg, &c))
		return false;
	f->change_seq = g->last_seq;
	return true;
}

/* Merges the two tables by the order of their commits. */
static enum evh_rc
merge(struct feed *f, uint32_t budget, struct gathered *g, bool *more)
{
	int change, event;

	(void)sqlite3_bind_int64(f->changes, 1, (sqlite3_int64)f->change_seq);
	(void)sqlite3_bind_int64(f->events, 1, (sqlite3_int64)f->event_seq);
	change = next_change(f, g, sqlite3_step(f->changes));
	event = sqlite3_step(f->events);
	for (;;) {
		bool have_change = g->last_seq != 0, have_event = event == SQLITE_ROW;

		if (!have_change && change != SQLITE_DONE)
			return db_rc(change);
		if (!have_event && event != SQLITE_DONE)
			return db_rc(event);
		if (!have_change && !have_event)
			return EVH_OK;
		if (budget-- == 0) {
			*more = true;
			return EVH_OK;
		}
		if (have_change &&
			(!have_event || (uint64_t)sqlite3_column_int64(f->events, 0) > g->after_event)) {
			if (!hand_on_change(f, g))
				return EVH_OK;
			change = next_change(f, g, change);
		} else {
			enum evh_rc rc = hand_on_event(f, f->events);

			if (rc != EVH_OK)
				return rc;
			event = sqlite3_step(f->events);
		}
	}
}

enum evh_rc
feed_poll(struct feed *f, uint32_t budget, bool *more)
{
	struct gathered *g = calloc(1, sizeof(*g));
	enum evh_rc rc;
	int step;

	*more = false;
	if (g == NULL)
		return EVH_NOMEM;
	/* one snapshot for both tables, or their order could not be told */
	step = sqlite3_step(f->begin);
	(void)sqlite3_reset(f->begin);
	rc = db_rc(step);
	if (rc == EVH_OK) {
		rc = merge(f, budget, g, more);
		(void)sqlite3_reset(f->events);
		(void)sqlite3_reset(f->changes);
		(void)sqlite3_step(f->commit);
		(void)sqlite3_reset(f->commit);
	}
	gathered_clear(g);
	free(g);
	return rc;
}
