#include "common/db.h"
#include "tests/unit/unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

static enum evh_rc
open_as(const char *path, enum db_mode mode, sqlite3 **db, char why[DB_WHY_BYTES])
{
	struct db_options o = { .path = path, .mode = mode, .triggers = true, .busy_ms = 50 };

	why[0] = '\0';
	return db_open(&o, db, why);
}

static void
expect_refusal(const char *path, enum db_mode mode, enum evh_rc rc, const char *words)
{
	sqlite3 *db = (sqlite3 *)(void *)&rc;
	char why[DB_WHY_BYTES];
	enum evh_rc got = open_as(path, mode, &db, why);

	if (got != rc || strstr(why, words) == NULL || strstr(why, path) == NULL)
		fail_msg("%s: %s", evh_rc_name(got), why);
	assert_null(db);
}

static void
create(const char *path)
{
	sqlite3 *db;
	char why[DB_WHY_BYTES];

	if (open_as(path, DB_READ_WRITE, &db, why) != EVH_OK)
		fail_msg("%s", why);
	db_close(&db);
	assert_null(db);
	db_close(&db);
}

static void
expect_row(sqlite3 *db, const char *sql, const char *expected)
{
	sqlite3_stmt *stmt;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_string_equal(db_text(stmt, 0), expected);
	assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
}

static void
creation(void **state)
{
	const char *path = unit_path(*state, "evhub.db");
	char why[DB_WHY_BYTES], version[16], epoch[EVH_EPOCH_TEXT], again[EVH_EPOCH_TEXT];
	sqlite3 *db;

	(void)snprintf(version, sizeof(version), "%d", db_schema_version());
	assert_int_equal(open_as(path, DB_READ_WRITE, &db, why), EVH_OK);
	expect_row(db, "PRAGMA journal_mode", "wal");
	expect_row(db, "PRAGMA synchronous", "1");
	expect_row(db, "PRAGMA user_version", version);
	expect_row(db, "PRAGMA application_id", "1165387874");
	expect_row(db, "SELECT value FROM meta WHERE key = 'schema_version'", version);
	expect_row(db, "SELECT count(*) FROM event_type WHERE mandatory", "1");
	expect_row(db, "PRAGMA integrity_check", "ok");
	assert_int_equal(db_epoch(db, epoch), EVH_OK);
	assert_int_equal(strlen(epoch), 8);
	db_close(&db);
	assert_int_equal(open_as(path, DB_READ_WRITE, &db, why), EVH_OK);
	assert_int_equal(db_epoch(db, again), EVH_OK);
	assert_string_equal(epoch, again);
	db_close(&db);
}

static void
options(void **state)
{
	const char *path = unit_path(*state, "evhub.db");
	struct db_options o = { .path = path, .mode = DB_READ_WRITE, .full_sync = true, .busy_ms = 1 };
	char why[DB_WHY_BYTES];
	sqlite3 *db;

	assert_int_equal(db_open(&o, &db, why), EVH_OK);
	expect_row(db, "PRAGMA synchronous", "2");
	assert_int_equal(db_exec(db, "INSERT INTO event_type(name) VALUES('quiet')"), EVH_OK);
	expect_row(db, "SELECT count(*) FROM change", "0");
	db_close(&db);
	o.triggers = true;
	assert_int_equal(db_open(&o, &db, why), EVH_OK);
	assert_int_equal(db_exec(db, "INSERT INTO event_type(name) VALUES('loud')"), EVH_OK);
	expect_row(db, "SELECT group_concat(event_type) FROM change", "loud");
	db_close(&db);
}

static void
reading_only(void **state)
{
	const char *path = unit_path(*state, "evhub.db");
	char why[DB_WHY_BYTES];
	sqlite3 *db;

	create(path);
	assert_int_equal(open_as(path, DB_READ_ONLY, &db, why), EVH_OK);
	assert_int_equal(db_exec(db, "INSERT INTO event_type(name) VALUES('x')"), EVH_READ_ONLY);
	expect_row(db, "SELECT count(*) > 5 FROM event_type", "1");
	db_close(&db);
}

/* A file of size 0, and one that SQLite made and nobody filled, are version 0. */
static void
migration_from_version_0(void **state)
{
	const char *path = unit_path(*state, "empty.db");
	char why[DB_WHY_BYTES];
	sqlite3 *db;

	unit_write(path, "", 0);
	expect_refusal(path, DB_READ_ONLY, EVH_OLDER, "its schema version is 0");
	expect_refusal(path, DB_WRITE, EVH_OLDER, "its schema version is 0");
	create(path);
	path = unit_path(*state, "bare.db");
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
		db_exec(db, "CREATE TABLE t(x); DROP TABLE t; PRAGMA application_id = 0"), EVH_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	create(path);
	assert_int_equal(open_as(path, DB_READ_ONLY, &db, why), EVH_OK);
	expect_row(db, "SELECT count(*) FROM event", "0");
	db_close(&db);
}

/* A migration that fails leaves the file as it was. */
static void
failed_migration_is_undone(void **state)
{
	const char *path = unit_path(*state, "evhub.db");
	char why[DB_WHY_BYTES];
	sqlite3 *db;

	create(path);
	assert_int_equal(open_as(path, DB_READ_WRITE, &db, why), EVH_OK);
	assert_int_equal(db_exec(db, "PRAGMA user_version = 0; DROP TABLE meta"), EVH_OK);
	db_close(&db);
	expect_refusal(path, DB_READ_WRITE, EVH_IO,
		"migration from version 0 failed: table event_type already exists");
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	expect_row(db, "PRAGMA user_version", "0");
	expect_row(db, "SELECT count(*) FROM sqlite_master WHERE name = 'meta'", "0");
	expect_row(db, "PRAGMA integrity_check", "ok");
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Reads a whole file, for a comparison. */
static void
expect_unchanged(const char *path, const struct buf *before)
{
	struct buf after = BUF_INIT;

	unit_read(&after, path);
	assert_int_equal(after.len, before->len);
	assert_memory_equal(after.data, before->data, before->len);
	buf_free(&after);
}

static void
foreign_databases_are_left_alone(void **state)
{
	static const char *const scripts[] = { "CREATE TABLE t(x)", "CREATE VIEW v AS SELECT 1",
		"PRAGMA application_id = 7", "CREATE TABLE meta(key, value); PRAGMA user_version = 1" };

	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		const char *path = unit_path(*state, "foreign.db");
		struct buf before = BUF_INIT;
		sqlite3 *db;

		assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
		assert_int_equal(db_exec(db, scripts[i]), EVH_OK);
		assert_int_equal(sqlite3_close(db), SQLITE_OK);
		unit_read(&before, path);
		expect_refusal(path, DB_READ_WRITE, EVH_FOREIGN, "another program");
		expect_refusal(path, DB_READ_ONLY, EVH_FOREIGN, "another program");
		expect_unchanged(path, &before);
		buf_free(&before);
		assert_int_equal(unlink(path), 0);
	}
}

static void
newer_version(void **state)
{
	const char *path = unit_path(*state, "evhub.db");
	char why[DB_WHY_BYTES];
	sqlite3 *db;

	create(path);
	assert_int_equal(open_as(path, DB_READ_WRITE, &db, why), EVH_OK);
	assert_int_equal(db_exec(db, "PRAGMA user_version = 9999"), EVH_OK);
	db_close(&db);
	expect_refusal(path, DB_READ_WRITE, EVH_NEWER, "its schema version is 9999");
	expect_refusal(path, DB_READ_ONLY, EVH_NEWER, "upgrade evhub");
}

static void
not_a_database(void **state)
{
	const char *path = unit_path(*state, "text.db");
	struct buf before = BUF_INIT;
	char text[4096];

	memset(text, 'x', sizeof(text));
	unit_write(path, text, sizeof(text));
	unit_read(&before, path);
	expect_refusal(path, DB_READ_WRITE, EVH_FOREIGN, "not a database");
	expect_refusal(path, DB_READ_ONLY, EVH_FOREIGN, "not a database");
	expect_unchanged(path, &before);
	buf_free(&before);
	expect_refusal(*state, DB_READ_WRITE, EVH_FOREIGN, "it is a directory");
}

static void
corrupt(void **state)
{
	const char *path = unit_path(*state, "evhub.db");
	struct buf b = BUF_INIT;

	create(path);
	unit_read(&b, path);
	memset(b.data + 100, 0xa5, 3900); /* the root page of the schema, behind the header */
	unit_write(path, b.data, b.len);
	buf_free(&b);
	expect_refusal(path, DB_READ_WRITE, EVH_FOREIGN, "malformed");
	expect_refusal(path, DB_READ_ONLY, EVH_FOREIGN, "malformed");
}

static void
missing(void **state)
{
	const char *path = unit_path(*state, "none.db");

	expect_refusal(path, DB_READ_ONLY, EVH_NOT_FOUND, "No such file or directory");
	expect_refusal(path, DB_WRITE, EVH_NOT_FOUND, "No such file or directory");
	assert_int_equal(access(path, F_OK), -1);
	path = unit_path(*state, "no/such/dir.db");
	expect_refusal(path, DB_READ_WRITE, EVH_NOT_FOUND, "No such file or directory");
	/* no file at all: WAL cannot be had, and nothing would last */
	expect_refusal(":memory:", DB_READ_WRITE, EVH_IO, "WAL");
	expect_refusal("", DB_READ_WRITE, EVH_IO, "WAL");
}

/* Runs check as a user without rights; root would be let through everywhere. */
static void
as_nobody(void (*check)(const char *dir), const char *dir)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (geteuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
			_exit(99);
		check(dir);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* In a child, where cmocka's asserts cannot jump back. */
static void
must_refuse(const char *path, enum db_mode mode, enum evh_rc rc, const char *words)
{
	sqlite3 *db;
	char why[DB_WHY_BYTES];
	enum evh_rc got = open_as(path, mode, &db, why);

	if (got == rc && db == NULL && strstr(why, words) != NULL)
		return;
	(void)fprintf(stderr, "%s: %s\n", evh_rc_name(got), why);
	_exit(1);
}

static void
check_file_read_only(const char *dir)
{
	must_refuse(unit_path(dir, "evhub.db"), DB_READ_WRITE, EVH_READ_ONLY, "it is read-only");
}

static void
check_dir_read_only(const char *dir)
{
	must_refuse(
		unit_path(dir, "evhub.db"), DB_READ_WRITE, EVH_READ_ONLY, "is its directory writable?");
	must_refuse(unit_path(dir, "new.db"), DB_READ_WRITE, EVH_NOT_FOUND, "cannot be opened");
}

static void
check_file_secret(const char *dir)
{
	must_refuse(unit_path(dir, "evhub.db"), DB_READ_ONLY, EVH_DENIED, "Permission denied");
}

static void
check_dir_secret(const char *dir)
{
	must_refuse(unit_path(dir, "evhub.db"), DB_READ_ONLY, EVH_DENIED, "Permission denied");
}

static void
without_the_rights(void **state)
{
	const char *dir = *state, *path = unit_path(dir, "evhub.db");

	create(path);
	assert_int_equal(chmod(path, 0444), 0);
	assert_int_equal(chmod(dir, 0777), 0);
	as_nobody(check_file_read_only, dir);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(chmod(dir, 0555), 0);
	as_nobody(check_dir_read_only, dir);
	assert_int_equal(chmod(path, 0000), 0);
	as_nobody(check_file_secret, dir);
	assert_int_equal(chmod(dir, 0000), 0);
	as_nobody(check_dir_secret, dir);
	assert_int_equal(chmod(dir, 0700), 0);
}

static void
locked(void **state)
{
	const char *path = unit_path(*state, "evhub.db");
	char why[DB_WHY_BYTES];
	sqlite3 *holder, *db;

	create(path);
	assert_int_equal(open_as(path, DB_READ_WRITE, &holder, why), EVH_OK);
	assert_int_equal(db_exec(holder, "BEGIN IMMEDIATE"), EVH_OK);
	assert_int_equal(
		open_as(path, DB_READ_WRITE, &db, why), EVH_OK); /* WAL: opening waits for nobody */
	assert_int_equal(db_exec(db, "INSERT INTO event_type(name) VALUES('x')"), EVH_BUSY);
	assert_int_equal(db_exec(holder, "COMMIT"), EVH_OK);
	assert_int_equal(db_exec(db, "INSERT INTO event_type(name) VALUES('x')"), EVH_OK);
	db_close(&db);
	db_close(&holder);

	path = unit_path(*state, "new.db");
	assert_int_equal(sqlite3_open(path, &holder), SQLITE_OK);
	assert_int_equal(db_exec(holder, "BEGIN EXCLUSIVE"), EVH_OK);
	expect_refusal(path, DB_READ_WRITE, EVH_BUSY, "locked");
	assert_int_equal(sqlite3_close(holder), SQLITE_OK);
	create(path);
}

/* Waits until the other end of the pipe is closed, then opens. */
static void
open_when_told(const char *path, const int start[2])
{
	struct db_options o = { .path = path, .mode = DB_READ_WRITE, .busy_ms = 10000 };
	char why[DB_WHY_BYTES], byte;
	sqlite3 *db;

	(void)close(start[1]);
	(void)!read(start[0], &byte, 1);
	if (db_open(&o, &db, why) != EVH_OK) {
		(void)fprintf(stderr, "%s\n", why);
		_exit(1);
	}
	db_close(&db);
	_exit(0);
}

/* Many processes at the same moment, on a file that none of them finds made. */
static void
created_by_many_at_once(void **state)
{
	for (int round = 0; round < 30; round++) {
		char name[32];
		int start[2], status, failed = 0;
		pid_t pid;

		(void)snprintf(name, sizeof(name), "evhub%d.db", round);
		assert_int_equal(pipe(start), 0);
		for (int i = 0; i < 8; i++) {
			pid = fork();
			assert_true(pid >= 0);
			if (pid == 0)
				open_when_told(unit_path(*state, name), start);
		}
		(void)close(start[0]);
		(void)close(start[1]);
		while (wait(&status) > 0)
			failed += status != 0;
		assert_int_equal(failed, 0);
	}
}

static void
epochs(void **state)
{
	static const char *const bad[] = { "", "XYZ", "0123456789abcdef0", "12 " };
	const char *path = unit_path(*state, "evhub.db");
	char why[DB_WHY_BYTES], epoch[EVH_EPOCH_TEXT], sql[128];
	sqlite3 *db;

	assert_int_equal(open_as(path, DB_READ_WRITE, &db, why), EVH_OK);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)snprintf(
			sql, sizeof(sql), "UPDATE meta SET value = '%s' WHERE key = 'epoch'", bad[i]);
		assert_int_equal(db_exec(db, sql), EVH_OK);
		assert_int_equal(db_epoch(db, epoch), EVH_FOREIGN);
	}
	assert_int_equal(db_exec(db, "DROP TRIGGER meta_delete; DELETE FROM meta"), EVH_OK);
	assert_int_equal(db_epoch(db, epoch), EVH_FOREIGN);
	db_close(&db);
}

static void
result_codes(void **state)
{
	static const struct {
		int sqlite;
		enum evh_rc rc;
	} cases[] = {
		{ SQLITE_OK, EVH_OK },
		{ SQLITE_ROW, EVH_OK },
		{ SQLITE_DONE, EVH_OK },
		{ SQLITE_BUSY_SNAPSHOT, EVH_BUSY },
		{ SQLITE_LOCKED, EVH_BUSY },
		{ SQLITE_FULL, EVH_FULL },
		{ SQLITE_READONLY_DBMOVED, EVH_READ_ONLY },
		{ SQLITE_CANTOPEN, EVH_NOT_FOUND },
		{ SQLITE_NOTADB, EVH_FOREIGN },
		{ SQLITE_CORRUPT_VTAB, EVH_FOREIGN },
		{ SQLITE_CONSTRAINT_CHECK, EVH_INVALID },
		{ SQLITE_TOOBIG, EVH_TOO_LARGE },
		{ SQLITE_NOMEM, EVH_NOMEM },
		{ SQLITE_PERM, EVH_DENIED },
		{ SQLITE_IOERR_FSYNC, EVH_IO },
		{ SQLITE_ERROR, EVH_IO },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(db_rc(cases[i].sqlite), cases[i].rc);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, unit_dir_setup, unit_dir_teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		IN_DIR(creation),
		IN_DIR(options),
		IN_DIR(reading_only),
		IN_DIR(migration_from_version_0),
		IN_DIR(failed_migration_is_undone),
		IN_DIR(foreign_databases_are_left_alone),
		IN_DIR(newer_version),
		IN_DIR(not_a_database),
		IN_DIR(corrupt),
		IN_DIR(missing),
		IN_DIR(without_the_rights),
		IN_DIR(locked),
		IN_DIR(created_by_many_at_once),
		IN_DIR(epochs),
		cmocka_unit_test(result_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
