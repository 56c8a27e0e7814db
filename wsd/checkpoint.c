#include "wsd/checkpoint.h"

#include "common/db.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

/* The length of the log, in pages, at which it is copied: SQLite's default; and
 * at which the writer waits for that, so that the file does not grow on. */
#define PAGES 1000
#define PAGES_MAX 4000

struct checkpoint {
	sqlite3 *db, *writer;
	pthread_t thread;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t wake;
	bool wanted, stopping;
};

static void
copy(sqlite3 *db)
{
	/* whatever goes wrong: the next commit asks again, and a full disk or a
	 * broken file is the writer's to tell */
	(void)sqlite3_wal_checkpoint_v2(db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

/* After each commit of the writer, in its thread. */
static int
on_commit(void *arg, sqlite3 *writer, const char *name, int pages)
{
	struct checkpoint *c = arg;

	(void)name;
	if (pages >= PAGES_MAX) {
		copy(writer);
	} else if (pages >= PAGES) {
		(void)pthread_mutex_lock(&c->lock);
		c->wanted = true;
		(void)pthread_cond_signal(&c->wake);
		(void)pthread_mutex_unlock(&c->lock);
	}
	return SQLITE_OK;
}

static void *
run(void *arg)
{
	struct checkpoint *c = arg;

	(void)pthread_mutex_lock(&c->lock);
	while (!c->stopping) {
		if (!c->wanted) {
			(void)pthread_cond_wait(&c->wake, &c->lock);
			continue;
		}
		c->wanted = false;
		(void)pthread_mutex_unlock(&c->lock);
		copy(c->db);
		(void)pthread_mutex_lock(&c->lock);
	}
	(void)pthread_mutex_unlock(&c->lock);
	return NULL;
}

static enum evh_rc
start_thread(struct checkpoint *c)
{
	sigset_t all, before;
	int failed;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&c->thread, NULL, run, c);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed == 0)
		(void)pthread_setname_np(c->thread, "evhub-wal");
	return failed != 0 ? EVH_NOMEM : EVH_OK;
}

static void
destroy(struct checkpoint *c)
{
	db_close(&c->db);
	(void)pthread_cond_destroy(&c->wake);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}

enum evh_rc
checkpoint_start(struct checkpoint **out, const struct conf *conf, sqlite3 *writer, char *why)
{
	struct db_options options = { .path = conf->database,
		.mode = DB_WRITE,
		.full_sync = conf->synchronous == CONF_SYNC_FULL,
		.triggers = false,
		.busy_ms = 1000 };
	struct checkpoint *c = calloc(1, sizeof(*c));
	enum evh_rc rc;

	*out = NULL;
	if (c == NULL)
		return EVH_NOMEM;
	c->writer = writer;
	(void)pthread_mutex_init(&c->lock, NULL);
	(void)pthread_cond_init(&c->wake, NULL);
	rc = db_open(&options, &c->db, why);
	if (rc == EVH_OK)
		rc = start_thread(c);
	if (rc != EVH_OK) {
		destroy(c);
		return rc;
	}
	(void)sqlite3_wal_hook(writer, on_commit, c); /* in place of SQLite's own */
	*out = c;
	return EVH_OK;
}

void
checkpoint_stop(struct checkpoint **checkpoint)
{
	struct checkpoint *c = *checkpoint;

	if (c == NULL)
		return;
	*checkpoint = NULL;
	(void)sqlite3_wal_hook(c->writer, NULL, NULL);
	(void)pthread_mutex_lock(&c->lock);
	c->stopping = true;
	(void)pthread_cond_signal(&c->wake);
	(void)pthread_mutex_unlock(&c->lock);
	(void)pthread_join(c->thread, NULL);
	destroy(c);
}
