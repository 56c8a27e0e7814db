/* What may be wrong with the database, and how to mend it. */

#include "common/check.h"
#include "common/db.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How long another may hold the lock before that is told, ms. */
#define BUSY_MS 1000

/* Files up to this size are looked through. */
#define QUICK_CHECK_BYTES (INT64_C(64) << 20)

static void
hint(enum evh_rc rc, const struct conf *conf, struct problems *p)
{
	switch (rc) {
	case EVH_FOREIGN:
		problems_hint(p,
			"if nothing in %s is needed, move it away: evhub-wsd makes a new one; else "
			"name another file or restore a backup",
			conf->database);
		break;
	case EVH_NEWER:
		problems_hint(p,
			"a newer evhub has been here: install that version again, or restore a backup "
			"from before it");
		break;
	case EVH_READ_ONLY:
	case EVH_DENIED:
		problems_hint(p,
			"the file and its directory must be writable for the user of the program, "
			"because SQLite makes two more files beside it");
		break;
	case EVH_BUSY:
		problems_hint(p,
			"find the program with: fuser -v %s; an open transaction in a sqlite3 shell "
			"does this",
			conf->database);
		break;
	case EVH_NOT_FOUND:
		problems_hint(p, "is the path right?  evhub-wsd makes the file, but not its directory");
		break;
	default:
		problems_hint(p, "is the disk full or failing?  dmesg may tell");
		break;
	}
}

/* Takes the lock that every write needs, and gives it back. */
static void
try_writing(const struct conf *conf, struct problems *p)
{
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(conf->database, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

	if (rc == SQLITE_OK) {
		(void)sqlite3_busy_timeout(db, BUSY_MS);
		rc = sqlite3_exec(db, "BEGIN IMMEDIATE; ROLLBACK", NULL, NULL, NULL);
	}
	if (db_rc(rc) == EVH_BUSY)
		problems_add(p, "database %s: another program has been holding it for %d ms",
			conf->database, BUSY_MS);
	else if (rc != SQLITE_OK)
		problems_add(p, "database %s: it cannot be written: %s", conf->database,
			db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
	if (rc != SQLITE_OK)
		hint(db_rc(rc), conf, p);
	(void)sqlite3_close(db);
}

static void
look_through(sqlite3 *db, const struct conf *conf, struct problems *p)
{
	sqlite3_stmt *stmt = NULL;
	struct stat st;

	if (stat(conf->database, &st) != 0 || st.st_size > QUICK_CHECK_BYTES)
		return;
	if (sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &stmt, NULL) == SQLITE_OK) {
		int step = sqlite3_step(stmt);

		if (step != SQLITE_ROW || strcmp(db_text(stmt, 0), "ok") != 0) {
			problems_add(p, "database %s: it is damaged: %s", conf->database,
				step == SQLITE_ROW ? db_text(stmt, 0) : sqlite3_errmsg(db));
			problems_hint(p,
				"restore a backup, or save what can be saved: sqlite3 %s .recover",
				conf->database);
		}
	}
	(void)sqlite3_finalize(stmt);
}

static void
look_into(const struct conf *conf, struct problems *p)
{
	const struct db_options options = {
		.path = conf->database, .mode = DB_READ_ONLY, .busy_ms = BUSY_MS
	};
	char why[DB_WHY_BYTES] = "";
	sqlite3 *db = NULL;
	enum evh_rc rc = db_open(&options, &db, why);

	if (rc == EVH_OLDER) {
		problems_note(p, "%s", why);
	} else if (rc != EVH_OK) {
		problems_add(p, "%s", why);
		hint(rc, conf, p);
		return;
	}
	if (db != NULL)
		look_through(db, conf, p);
	db_close(&db);
	if (access(conf->database, W_OK) != 0) {
		problems_add(p, "database %s: it is read-only", conf->database);
		hint(EVH_READ_ONLY, conf, p);
	} else {
		try_writing(conf, p);
	}
}

void
check_database(const struct conf *conf, struct problems *p)
{
	char *copy = strdup(conf->database), *dir = copy != NULL ? dirname(copy) : NULL;
	bool there = access(conf->database, F_OK) == 0;

	if (dir == NULL || conf->database[0] == '\0') {
		free(copy);
		return; /* told already */
	}
	if (!there && access(dir, F_OK) != 0) {
		problems_add(p, "database: the directory %s: %s", dir, strerror(errno));
		problems_hint(p,
			"make it and give it to the user of the program: install -d -o evhub %s", dir);
	} else if (access(dir, W_OK | X_OK) != 0) {
		problems_add(p, "database: nothing can be made in the directory %s: %s", dir,
			strerror(errno));
		hint(EVH_READ_ONLY, conf, p);
	} else if (!there) {
		problems_note(
			p, "database %s does not exist yet; evhub-wsd will make it", conf->database);
	}
	if (there)
		look_into(conf, p);
	free(copy);
}
