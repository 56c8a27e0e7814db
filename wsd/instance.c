#include "wsd/instance.h"

#include "common/clock.h"
#include "common/db.h"
#include "common/log.h"
#include "wsd/lineage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

struct instance {
	int fd;
	char *path;
	bool registered;
	char epoch[EVH_EPOCH_TEXT]; /* what is remembered */
	uint64_t head;
};

static char *
lock_path(const char *database, const char *name)
{
	size_t len = strlen(database) + strlen(name) + sizeof("-.lock");
	char *path = malloc(len);

	if (path != NULL)
		(void)snprintf(path, len, "%s-%s.lock", database, name);
	return path;
}

static int
try_lock(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0660);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
		int error = errno;

		(void)close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

enum evh_rc
instance_lock(struct instance **out, const struct conf *conf, char *why)
{
	struct instance *i = calloc(1, sizeof(*i));

	*out = NULL;
	if (i == NULL)
		return EVH_NOMEM;
	i->path = lock_path(conf->database, conf->name);
	i->fd = i->path != NULL ? try_lock(i->path) : -1;
	if (i->fd < 0) {
		enum evh_rc rc = errno == EWOULDBLOCK ? EVH_EXISTS : EVH_DENIED;

		if (rc == EVH_EXISTS)
			(void)snprintf(why, CONF_WHY_BYTES,
				"name: a daemon named \"%s\" is already running on %s; give this one another name",
				conf->name, conf->database);
		else
			(void)snprintf(why, CONF_WHY_BYTES, "database: cannot create %s: %s",
				i->path != NULL ? i->path : "the lock file", strerror(errno));
		free(i->path);
		free(i);
		return rc;
	}
	*out = i;
	return EVH_OK;
}

static enum evh_rc
run_with_name(sqlite3 *db, const char *sql, const char *name)
{
	sqlite3_stmt *stmt = NULL;
	enum evh_rc rc = db_prepare(db, sql, &stmt);

	if (rc == EVH_OK) {
		db_bind_text(stmt, 1, name);
		rc = db_rc(sqlite3_step(stmt));
	}
	(void)sqlite3_finalize(stmt);
	return rc;
}

static enum evh_rc
remove_clients(sqlite3 *db, const char *name, bool row_too)
{
	enum evh_rc rc = run_with_name(db,
		"DELETE FROM subscription WHERE client_id IN (SELECT id FROM client WHERE daemon = ?1)",
		name);

	if (rc == EVH_OK)
		rc = run_with_name(db, "DELETE FROM client WHERE daemon = ?1", name);
	if (rc == EVH_OK && sqlite3_changes(db) > 0)
		log_info("repaired", "daemon=%s clients_removed=%d", name, sqlite3_changes(db));
	if (rc == EVH_OK && row_too)
		rc = run_with_name(db, "DELETE FROM daemon WHERE name = ?1", name);
	return rc;
}

/* Daemons of other names that were killed and not started again. */
static enum evh_rc
repair_others(sqlite3 *db, const struct conf *conf)
{
	sqlite3_stmt *stmt = NULL;
	enum evh_rc rc = db_prepare(db,
		"SELECT name FROM daemon WHERE name <> ?1 UNION SELECT daemon FROM client WHERE daemon <> ?1",
		&stmt);

	if (rc == EVH_OK)
		db_bind_text(stmt, 1, conf->name);
	while (rc == EVH_OK && sqlite3_step(stmt) == SQLITE_ROW) {
		char *path = lock_path(conf->database, db_text(stmt, 0));
		int fd = path != NULL ? try_lock(path) : -1;

		if (fd >= 0) {
			rc = remove_clients(db, db_text(stmt, 0), true);
			(void)close(fd); /* the file stays: unlinking would let two hold "it" */
		}
		free(path);
	}
	(void)sqlite3_finalize(stmt);
	return rc;
}

static enum evh_rc
write_row(sqlite3 *db, const struct conf *conf)
{
	sqlite3_stmt *stmt = NULL;
	char now[CLOCK_TEXT_BYTES];
	enum evh_rc rc = db_prepare(db,
		"INSERT OR REPLACE INTO daemon(name, pid, control_socket, started_at, seen_at)"
		" VALUES (?1, ?2, ?3, ?4, ?4)",
		&stmt);

	clock_format(clock_now_us(), now);
	if (rc == EVH_OK) {
		db_bind_text(stmt, 1, conf->name);
		(void)sqlite3_bind_int64(stmt, 2, getpid());
		db_bind_text(stmt, 3, conf->control_socket);
		db_bind_text(stmt, 4, now);
		rc = db_rc(sqlite3_step(stmt));
	}
	(void)sqlite3_finalize(stmt);
	return rc;
}

static enum evh_rc
write_limit(sqlite3 *db, const struct conf *conf)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%lld", (long long)conf->max_event_bytes);
	return run_with_name(
		db, "UPDATE meta SET value = ?1 WHERE key = 'max_event_bytes' AND value <> ?1", text);
}

static enum evh_rc
open_quietly(const struct conf *conf, sqlite3 **db, char *why)
{
	struct db_options options = { .path = conf->database,
		.mode = DB_READ_WRITE,
		.full_sync = conf->synchronous == CONF_SYNC_FULL,
		.triggers = false,
		.busy_ms = 15000 };

	return db_open(&options, db, why);
}

enum evh_rc
instance_register(struct instance *instance, const struct conf *conf, char *why)
{
	char boot[LINEAGE_BOOT_BYTES];
	sqlite3 *db = NULL;
	enum evh_rc rc = open_quietly(conf, &db, why);

	if (rc != EVH_OK)
		return rc;
	lineage_boot(boot);
	rc = db_exec(db, "BEGIN IMMEDIATE");
	if (rc == EVH_OK)
		rc = remove_clients(db, conf->name, true);
	if (rc == EVH_OK)
		rc = repair_others(db, conf);
	if (rc == EVH_OK)
		rc = write_row(db, conf);
	if (rc == EVH_OK)
		rc = write_limit(db, conf);
	if (rc == EVH_OK)
		rc = lineage_continue(db, instance->fd, boot);
	if (rc == EVH_OK)
		rc = db_exec(db, "COMMIT");
	if (rc != EVH_OK)
		(void)snprintf(
			why, CONF_WHY_BYTES, "database %s: %s", conf->database, sqlite3_errmsg(db));
	else
		instance->registered = true;
	db_close(&db);
	return rc;
}

void
instance_remember(struct instance *i, const char *epoch, uint64_t head)
{
	if (head == i->head && strcmp(epoch, i->epoch) == 0)
		return;
	(void)snprintf(i->epoch, sizeof(i->epoch), "%s", epoch);
	i->head = head;
	lineage_remember(i->fd, epoch, head);
}

void
instance_release(struct instance **instance, const struct conf *conf)
{
	struct instance *i = *instance;
	char why[CONF_WHY_BYTES];
	sqlite3 *db = NULL;

	if (i == NULL)
		return;
	/* it would be created if somebody has taken it away */
	if (i->registered && access(conf->database, F_OK) == 0 &&
		open_quietly(conf, &db, why) == EVH_OK) {
		if (db_exec(db, "BEGIN IMMEDIATE") == EVH_OK) {
			(void)remove_clients(db, conf->name, true);
			(void)db_exec(db, "COMMIT");
		}
		db_close(&db);
	}
	(void)close(i->fd); /* the file stays; see repair_others */
	free(i->path);
	free(i);
	*instance = NULL;
}
