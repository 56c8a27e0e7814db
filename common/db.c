#include "common/db.h"

#include "common/log.h"
#include "common/migrations.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "Evhb" in the file's header (PRAGMA application_id), so that another
 * program's database is never mistaken for ours. */
#define APPLICATION_ID 0x45766862

int
db_schema_version(void)
{
	return (int)db_migration_count;
}

enum evh_rc
db_rc(int sqlite_rc)
{
	switch (sqlite_rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return EVH_OK;
	case SQLITE_NOMEM:
		return EVH_NOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return EVH_BUSY;
	case SQLITE_FULL:
		return EVH_FULL;
	case SQLITE_READONLY:
		return EVH_READ_ONLY;
	case SQLITE_CANTOPEN:
		return EVH_NOT_FOUND;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return EVH_DENIED;
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return EVH_FOREIGN;
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
		return EVH_INVALID;
	case SQLITE_TOOBIG:
		return EVH_TOO_LARGE;
	default:
		return EVH_IO;
	}
}

enum evh_rc
db_exec(sqlite3 *db, const char *sql)
{
	return db_rc(sqlite3_exec(db, sql, NULL, NULL, NULL));
}

enum evh_rc
db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out)
{
	int rc = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);

	if (rc != SQLITE_OK)
		log_error("statement_refused", "reason=\"%s\" sql=\"%.60s\"", sqlite3_errmsg(db), sql);
	return db_rc(rc);
}

void
db_bind_text(sqlite3_stmt *stmt, int index, const char *text)
{
	if (text == NULL)
		(void)sqlite3_bind_null(stmt, index);
	else
		(void)sqlite3_bind_text(stmt, index, text, -1, SQLITE_STATIC);
}

const char *
db_text(sqlite3_stmt *stmt, int column)
{
	const char *text = (const char *)sqlite3_column_text(stmt, column);

	return text != NULL ? text : "";
}

/* One integer of a PRAGMA or query. */
static enum evh_rc
query_int(sqlite3 *db, const char *sql, int64_t *value)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

	*value = 0;
	if (rc == SQLITE_OK) {
		rc = sqlite3_step(stmt);
		if (rc == SQLITE_ROW)
			*value = sqlite3_column_int64(stmt, 0);
	}
	(void)sqlite3_finalize(stmt);
	return db_rc(rc);
}

bool
db_moved(sqlite3 *db)
{
	int moved = 0;

	(void)sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
	return moved != 0;
}

enum evh_rc
db_epoch(sqlite3 *db, char epoch[EVH_EPOCH_TEXT])
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, "SELECT value FROM meta WHERE key = 'epoch'", -1, &stmt, NULL);
	enum evh_rc result = EVH_FOREIGN;

	if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		const char *text = db_text(stmt, 0);
		size_t len = strlen(text);

		if (len > 0 && len < EVH_EPOCH_TEXT && strspn(text, "0123456789abcdef") == len) {
			memcpy(epoch, text, len + 1);
			result = EVH_OK;
		}
	} else if (rc != SQLITE_DONE) {
		result = db_rc(rc);
	}
	(void)sqlite3_finalize(stmt);
	return result;
}

static enum evh_rc
apply_migrations(sqlite3 *db, int64_t from)
{
	char sql[128];
	enum evh_rc rc = EVH_OK;

	for (size_t i = (size_t)from; rc == EVH_OK && i < db_migration_count; i++)
		rc = db_exec(db, db_migrations[i]);
	if (rc != EVH_OK)
		return rc;
	(void)snprintf(sql, sizeof(sql),
		"PRAGMA application_id = %d; PRAGMA user_version = %d;"
		"UPDATE meta SET value = '%d' WHERE key = 'schema_version'",
		APPLICATION_ID, db_schema_version(), db_schema_version());
	return db_exec(db, sql);
}

/* Looks at what the file is, without a change to it.  EVH_OK if it is ours,
 * or empty and may be made ours; *version is that of its schema. */
static enum evh_rc
identify(sqlite3 *db, bool may_write, int64_t *version, char why[DB_WHY_BYTES])
{
	int64_t app = 0, tables = 0;
	enum evh_rc rc = db_exec(db, "BEGIN"); /* another may be creating it: see all of that or none */

	if (rc == EVH_OK)
		rc = query_int(db, "PRAGMA application_id", &app);
	if (rc == EVH_OK)
		rc = query_int(db, "PRAGMA user_version", version);
	if (rc == EVH_OK)
		rc = query_int(db, "SELECT count(*) FROM sqlite_master", &tables);
	if (rc == EVH_OK)
		rc = db_exec(db, "COMMIT");
	if (rc != EVH_OK)
		return rc; /* and the connection is closed */
	if (app != APPLICATION_ID && (app != 0 || tables != 0)) {
		(void)snprintf(why, DB_WHY_BYTES, "it is the database of another program");
		return EVH_FOREIGN;
	}
	if (*version > db_schema_version()) {
		(void)snprintf(why, DB_WHY_BYTES,
			"its schema version is %lld and this program knows %d: upgrade evhub",
			(long long)*version, db_schema_version());
		return EVH_NEWER;
	}
	if (*version < db_schema_version() && !may_write) {
		(void)snprintf(why, DB_WHY_BYTES,
			"its schema version is %lld, not %d: start evhub-wsd, which brings it up to date",
			(long long)*version, db_schema_version());
		return EVH_OLDER;
	}
	return EVH_OK;
}

static enum evh_rc
migrate(sqlite3 *db, char why[DB_WHY_BYTES])
{
	int64_t version = 0;
	enum evh_rc rc = db_exec(db, "BEGIN IMMEDIATE");

	if (rc != EVH_OK)
		return rc;
	rc = query_int(db, "PRAGMA user_version", &version); /* another may have been faster */
	if (rc == EVH_OK && version < db_schema_version())
		rc = apply_migrations(db, version);
	if (rc == EVH_OK)
		rc = db_exec(db, "COMMIT");
	if (rc != EVH_OK) {
		(void)snprintf(why, DB_WHY_BYTES, "migration from version %lld failed: %s",
			(long long)version, sqlite3_errmsg(db));
		(void)db_exec(db, "ROLLBACK");
	}
	return rc;
}

/* SQLite does not wait for another that switches to WAL at the same moment,
 * and says nothing when a file cannot have it. */
static enum evh_rc
use_wal(sqlite3 *db, int busy_ms, char why[DB_WHY_BYTES])
{
	sqlite3_stmt *stmt = NULL;
	enum evh_rc rc;

	for (int waited = 0;; waited += 10) {
		rc = db_rc(sqlite3_prepare_v2(db, "PRAGMA journal_mode = WAL", -1, &stmt, NULL));
		if (rc == EVH_OK)
			rc = db_rc(sqlite3_step(stmt));
		if (rc != EVH_BUSY || waited >= busy_ms)
			break;
		(void)sqlite3_finalize(stmt);
		stmt = NULL;
		(void)sqlite3_sleep(10);
	}
	if (rc == EVH_OK && strcmp(db_text(stmt, 0), "wal") != 0) {
		(void)snprintf(why, DB_WHY_BYTES, "it cannot be in WAL mode, only in mode \"%s\"",
			db_text(stmt, 0));
		rc = EVH_IO;
	}
	(void)sqlite3_finalize(stmt);
	return rc;
}

static enum evh_rc
setup(sqlite3 *db, const struct db_options *o, char why[DB_WHY_BYTES])
{
	int64_t version = 0;
	enum evh_rc rc;

	(void)sqlite3_extended_result_codes(db, 1);
	(void)sqlite3_busy_timeout(db, o->busy_ms);
	if (o->mode != DB_READ_ONLY && sqlite3_db_readonly(db, "main") == 1)
		return EVH_READ_ONLY;
	rc = identify(db, o->mode == DB_READ_WRITE, &version, why);
	if (rc == EVH_OK && o->mode != DB_READ_ONLY) {
		rc = use_wal(db, o->busy_ms, why);
		if (rc == EVH_OK)
			rc = db_exec(db,
				o->full_sync ? "PRAGMA synchronous = FULL"
					     : "PRAGMA synchronous = NORMAL");
		if (rc == EVH_OK && version < db_schema_version())
			rc = migrate(db, why);
	}
	if (rc == EVH_OK && o->cache_kib > 0) {
		char sql[48];

		(void)snprintf(sql, sizeof(sql), "PRAGMA cache_size = -%d", o->cache_kib);
		rc = db_exec(db, sql);
	}
	if (rc == EVH_OK && !o->triggers)
		rc = db_rc(sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL));
	return rc;
}

/* Why a file cannot be opened or written, for which SQLite has few words. */
static enum evh_rc
why_refused(const char *path, enum evh_rc rc, char why[DB_WHY_BYTES])
{
	struct stat st;

	if (stat(path, &st) != 0) {
		(void)snprintf(why, DB_WHY_BYTES, "it cannot be opened: %s", strerror(errno));
		return errno == EACCES ? EVH_DENIED : EVH_NOT_FOUND;
	}
	if (S_ISDIR(st.st_mode)) {
		(void)snprintf(why, DB_WHY_BYTES, "it is a directory");
		return EVH_FOREIGN;
	}
	if (access(path, R_OK) != 0) {
		(void)snprintf(why, DB_WHY_BYTES, "it cannot be read: %s", strerror(errno));
		return EVH_DENIED;
	}
	(void)snprintf(why, DB_WHY_BYTES, "%s",
		rc == EVH_READ_ONLY && access(path, W_OK) != 0
			? "it is read-only"
			: "its -wal and -shm files cannot be made: is its directory writable?");
	return EVH_READ_ONLY;
}

/* SQLite would make the file 0644, and its -wal and -shm files alike: the group
 * publishes by SQL, so it may write, as far as the umask lets it.  ":memory:" is
 * no file to SQLite. */
static void
make_file(const char *path)
{
	int fd;

	if (path[0] == ':')
		return;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0660);
	if (fd >= 0)
		(void)close(fd);
}

enum evh_rc
db_open(const struct db_options *o, sqlite3 **out, char why[DB_WHY_BYTES])
{
	static const int modes[] = {
		[DB_READ_ONLY] = SQLITE_OPEN_READONLY,
		[DB_WRITE] = SQLITE_OPEN_READWRITE,
		[DB_READ_WRITE] = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
	};
	int flags = SQLITE_OPEN_NOMUTEX | modes[o->mode];
	char detail[DB_WHY_BYTES] = "";
	sqlite3 *db = NULL;
	enum evh_rc rc;

	*out = NULL;
	if (o->mode == DB_READ_WRITE)
		make_file(o->path);
	rc = db_rc(sqlite3_open_v2(o->path, &db, flags, NULL));
	if (rc == EVH_OK)
		rc = setup(db, o, detail);
	if (rc == EVH_OK) {
		*out = db;
		return EVH_OK;
	}
	if ((rc == EVH_NOT_FOUND || rc == EVH_READ_ONLY) && detail[0] == '\0')
		rc = why_refused(o->path, rc, detail);
	(void)snprintf(why, DB_WHY_BYTES, "database %.120s: %.180s", o->path,
		detail[0] != '\0'    ? detail
			: db != NULL ? sqlite3_errmsg(db)
				     : evh_rc_name(rc));
	db_close(&db);
	return rc;
}

void
db_close(sqlite3 **db)
{
	if (*db == NULL)
		return;
	(void)sqlite3_close_v2(*db);
	*db = NULL;
}
