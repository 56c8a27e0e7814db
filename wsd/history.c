#include "wsd/history.h"

#include "common/db.h"
#include "common/log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* How much one piece holds. */
#define PIECE_EVENTS 4096
#define PIECE_BYTES (1 << 20)

/* It reads on and on, and no page twice. */
#define CACHE_KIB 128

/* An event as the thread read it; text is one allocation. */
struct row {
	uint64_t seq;
	char *type, *timestamp, *message, *body, *client_id, *user_id;
	size_t message_len, body_len;
};

struct lost_type {
	char name[EVENT_TYPE_MAX + 1];
	uint64_t seq;
};

struct piece {
	enum evh_rc rc;
	uint64_t after, upto;
	struct row *rows;
	size_t count;
	struct lost_type *lost;
	size_t lost_count;
};

struct history {
	sqlite3 *db;
	sqlite3_stmt *begin, *commit, *events, *purged, *head;
	pthread_t thread;
	int fd;

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t wake;
	bool stopping, asked;
	uint64_t after;
	struct piece *done;
};

static char *
copy_column(sqlite3_stmt *stmt, int column, size_t *len)
{
	const void *text = sqlite3_column_text(stmt, column);
	size_t n = (size_t)sqlite3_column_bytes(stmt, column);
	char *copy;

	if (text == NULL)
		return NULL;
	copy = malloc(n + 1);
	if (copy != NULL) {
		memcpy(copy, text, n);
		copy[n] = '\0';
	}
	if (len != NULL)
		*len = n;
	return copy;
}

static void
row_clear(struct row *r)
{
	free(r->type);
	free(r->timestamp);
	free(r->message);
	free(r->body);
	free(r->client_id);
	free(r->user_id);
}

static void
piece_free(struct piece *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->count; i++)
		row_clear(&p->rows[i]);
	free(p->rows);
	free(p->lost);
	free(p);
}

static enum evh_rc
read_row(struct row *r, sqlite3_stmt *stmt)
{
	memset(r, 0, sizeof(*r));
	r->seq = (uint64_t)sqlite3_column_int64(stmt, 0);
	r->type = copy_column(stmt, 1, NULL);
	r->message = copy_column(stmt, 2, &r->message_len);
	r->body = copy_column(stmt, 3, &r->body_len);
	r->client_id = copy_column(stmt, 4, NULL);
	r->user_id = copy_column(stmt, 5, NULL);
	r->timestamp = copy_column(stmt, 6, NULL);
	/* a name that is lost must not make an event everybody's */
	if (r->type == NULL || r->message == NULL || r->timestamp == NULL ||
		(r->client_id == NULL && sqlite3_column_type(stmt, 4) != SQLITE_NULL) ||
		(r->user_id == NULL && sqlite3_column_type(stmt, 5) != SQLITE_NULL) ||
		(r->body == NULL && sqlite3_column_type(stmt, 3) != SQLITE_NULL)) {
		row_clear(r);
		return EVH_NOMEM;
	}
	return EVH_OK;
}

static enum evh_rc
read_events(struct history *h, struct piece *p)
{
	size_t bytes = 0;
	int step = SQLITE_DONE;
	enum evh_rc rc = EVH_OK;

	p->rows = calloc(PIECE_EVENTS, sizeof(*p->rows));
	if (p->rows == NULL)
		return EVH_NOMEM;
	(void)sqlite3_bind_int64(h->events, 1, (sqlite3_int64)p->after);
	while (rc == EVH_OK && p->count < PIECE_EVENTS && bytes < PIECE_BYTES &&
		(step = sqlite3_step(h->events)) == SQLITE_ROW) {
		struct row *r = &p->rows[p->count];

		rc = read_row(r, h->events);
		if (rc != EVH_OK)
			break;
		p->count++;
		p->upto = r->seq;
		bytes += r->message_len + r->body_len + 128;
	}
	(void)sqlite3_reset(h->events);
	if (rc != EVH_OK || step == SQLITE_ROW)
		return rc;
	/* the end of the table: complete up to its head */
	if (step == SQLITE_DONE) {
		step = sqlite3_step(h->head);
		if (step == SQLITE_ROW)
			p->upto = (uint64_t)sqlite3_column_int64(h->head, 0);
		(void)sqlite3_reset(h->head);
	}
	return db_rc(step);
}

static enum evh_rc
read_purged(struct history *h, struct piece *p)
{
	size_t size = 0;
	int step;

	(void)sqlite3_bind_int64(h->purged, 1, (sqlite3_int64)p->after);
	while ((step = sqlite3_step(h->purged)) == SQLITE_ROW) {
		const char *name = db_text(h->purged, 0);

		if (p->lost_count == size) {
			struct lost_type *grown;

			size = size == 0 ? 16 : size * 2;
			grown = realloc(p->lost, size * sizeof(*grown));
			if (grown == NULL) {
				step = SQLITE_NOMEM;
				break;
			}
			p->lost = grown;
		}
		if (strlen(name) > EVENT_TYPE_MAX)
			continue;
		memcpy(p->lost[p->lost_count].name, name, strlen(name) + 1);
		p->lost[p->lost_count++].seq = (uint64_t)sqlite3_column_int64(h->purged, 1);
	}
	(void)sqlite3_reset(h->purged);
	return db_rc(step);
}

static void
step_reset(sqlite3_stmt *stmt)
{
	(void)sqlite3_step(stmt);
	(void)sqlite3_reset(stmt);
}

static struct piece *
read_piece(struct history *h, uint64_t after)
{
	struct piece *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->after = p->upto = after;
	p->rc = db_rc(sqlite3_step(h->begin)); /* one snapshot: what is gone, and what is there */
	(void)sqlite3_reset(h->begin);
	if (p->rc != EVH_OK)
		return p;
	p->rc = read_purged(h, p);
	if (p->rc == EVH_OK)
		p->rc = read_events(h, p);
	step_reset(h->commit);
	return p;
}

static void
wait_a_little(struct history *h)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += 1;
	(void)pthread_cond_timedwait(&h->wake, &h->lock, &until);
}

static void *
reader(void *arg)
{
	struct history *h = arg;
	uint64_t one = 1;

	(void)pthread_mutex_lock(&h->lock);
	while (!h->stopping) {
		struct piece *p;
		uint64_t after = h->after;

		if (!h->asked) {
			(void)pthread_cond_wait(&h->wake, &h->lock);
			continue;
		}
		(void)pthread_mutex_unlock(&h->lock);
		p = read_piece(h, after);
		(void)pthread_mutex_lock(&h->lock);
		if (p == NULL || p->rc != EVH_OK) {
			log_error("history_unreadable", "after=%llu reason=\"%s\"",
				(unsigned long long)after, evh_rc_name(p != NULL ? p->rc : EVH_NOMEM));
			piece_free(p);
			wait_a_little(h); /* and try again: somebody waits for it */
			continue;
		}
		h->asked = false;
		h->done = p;
		while (write(h->fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
	}
	(void)pthread_mutex_unlock(&h->lock);
	return NULL;
}

static void
destroy(struct history *h)
{
	(void)sqlite3_finalize(h->begin);
	(void)sqlite3_finalize(h->commit);
	(void)sqlite3_finalize(h->events);
	(void)sqlite3_finalize(h->purged);
	(void)sqlite3_finalize(h->head);
	db_close(&h->db);
	if (h->fd >= 0)
		(void)close(h->fd);
	piece_free(h->done);
	(void)pthread_cond_destroy(&h->wake);
	(void)pthread_mutex_destroy(&h->lock);
	free(h);
}

static enum evh_rc
prepare(struct history *h)
{
	enum evh_rc rc = db_prepare(h->db, "BEGIN", &h->begin);

	if (rc == EVH_OK)
		rc = db_prepare(h->db, "COMMIT", &h->commit);
	if (rc == EVH_OK)
		rc = db_prepare(h->db,
			"SELECT seq, event_type, message, body, client_id, user_id, created_at"
			" FROM event WHERE seq > ?1 ORDER BY seq",
			&h->events);
	if (rc == EVH_OK)
		rc = db_prepare(
			h->db, "SELECT event_type, seq FROM event_purged WHERE seq > ?1", &h->purged);
	if (rc == EVH_OK)
		rc = db_prepare(h->db, "SELECT seq FROM v_event_head", &h->head);
	return rc;
}

enum evh_rc
history_start(struct history **out, const char *database, char *why)
{
	struct db_options options = { .path = database,
		.mode = DB_READ_ONLY,
		.triggers = false,
		.cache_kib = CACHE_KIB,
		.busy_ms = 10000 };
	struct history *h = calloc(1, sizeof(*h));
	pthread_condattr_t attr;
	sigset_t all, before;
	enum evh_rc rc;

	*out = NULL;
	if (h == NULL)
		return EVH_NOMEM;
	(void)pthread_mutex_init(&h->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&h->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	h->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = h->fd < 0 ? EVH_IO : db_open(&options, &h->db, why);
	if (rc == EVH_OK)
		rc = prepare(h);
	if (rc == EVH_OK) {
		(void)sigfillset(&all);
		(void)pthread_sigmask(SIG_SETMASK, &all, &before);
		rc = pthread_create(&h->thread, NULL, reader, h) != 0 ? EVH_NOMEM : EVH_OK;
		(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	if (rc != EVH_OK) {
		destroy(h);
		return rc;
	}
	*out = h;
	return EVH_OK;
}

void
history_stop(struct history **history)
{
	struct history *h = *history;

	if (h == NULL)
		return;
	(void)pthread_mutex_lock(&h->lock);
	h->stopping = true;
	(void)pthread_cond_signal(&h->wake);
	(void)pthread_mutex_unlock(&h->lock);
	(void)pthread_join(h->thread, NULL);
	destroy(h);
	*history = NULL;
}

int
history_fd(const struct history *history)
{
	return history->fd;
}

void
history_fetch(struct history *h, uint64_t seq)
{
	(void)pthread_mutex_lock(&h->lock);
	h->after = seq;
	h->asked = true;
	(void)pthread_cond_signal(&h->wake);
	(void)pthread_mutex_unlock(&h->lock);
}

static enum evh_rc
to_log(struct hub *hub, const struct piece *p, struct eventlog *log)
{
	enum evh_rc rc = eventlog_init(log, p->after, 0);

	for (size_t i = 0; rc == EVH_OK && i < p->count; i++) {
		const struct row *r = &p->rows[i];
		struct hub_event e = { r->seq, r->type, r->timestamp, r->message, r->message_len,
			r->body, r->body_len, r->client_id, r->user_id };
		struct logentry entry;

		rc = hub_entry(hub, &e, &entry);
		if (rc == EVH_NOT_FOUND || rc == EVH_INVALID) {
			rc = EVH_OK; /* nobody can be subscribed to it */
			continue;
		}
		if (rc != EVH_OK)
			break;
		rc = eventlog_append(log, &entry);
		if (rc != EVH_OK) {
			free(entry.frame);
			free(entry.target);
		}
	}
	if (rc != EVH_OK)
		eventlog_clear(log);
	return rc;
}

static struct hub_lost *
to_lost(struct hub *hub, const struct piece *p, size_t *count)
{
	struct hub_lost *lost = calloc(p->lost_count + 1, sizeof(*lost));

	*count = 0;
	for (size_t i = 0; lost != NULL && i < p->lost_count; i++) {
		const struct evtype *t = grouping_any_type(hub_grouping(hub), p->lost[i].name);

		if (t != NULL)
			lost[(*count)++] = (struct hub_lost){ t->number, p->lost[i].seq };
	}
	return lost;
}

void
history_completions(struct history *h, struct hub *hub)
{
	struct piece *p;
	struct eventlog log;
	struct hub_lost *lost;
	size_t lost_count;
	uint64_t count;

	(void)!read(h->fd, &count, sizeof(count));
	(void)pthread_mutex_lock(&h->lock);
	p = h->done;
	h->done = NULL;
	(void)pthread_mutex_unlock(&h->lock);
	if (p == NULL)
		return;
	lost = to_lost(hub, p, &lost_count);
	if (lost != NULL && to_log(hub, p, &log) == EVH_OK) {
		hub_history(hub, p->after, p->upto, &log, lost, lost_count);
	} else {
		free(lost);
		history_fetch(h, p->after); /* memory may be there next time */
	}
	piece_free(p);
}
