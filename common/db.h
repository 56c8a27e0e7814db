/* db.h - the SQLite file: open, create, migrate, and what its errors mean.
 *
 * A connection belongs to one thread.  Statements that a module keeps are
 * prepared once with db_prepare and finalised by that module. */

#ifndef EVH_DB_H
#define EVH_DB_H

#include "common/ids.h"
#include "common/rc.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The schema version that this build reads and writes: the number of
 * migrations built in. */
int db_schema_version(void);

/* Room for what went wrong, in words. */
#define DB_WHY_BYTES 320

enum db_mode {
	DB_READ_ONLY,  /* never writes; the file must exist */
	DB_WRITE,      /* the file must exist with the present schema */
	DB_READ_WRITE, /* creates and migrates the file if need be */
};

struct db_options {
	const char *path;
	enum db_mode mode;
	bool full_sync; /* PRAGMA synchronous = FULL instead of NORMAL */
	int cache_kib;	/* of pages; 0: SQLite's 2000 */
	bool triggers;	/* false: this connection's writes fire no triggers */
	int busy_ms;	/* how long a statement waits for another's lock */
};

/* Opens the database.  On EVH_OK *out is the connection, closed with db_close.
 * Else *out is NULL and why tells what is wrong with which file: EVH_NOT_FOUND,
 * EVH_FOREIGN (not a database, or not ours), EVH_NEWER, EVH_OLDER, EVH_READ_ONLY,
 * EVH_DENIED, EVH_BUSY, EVH_FULL, EVH_IO, EVH_NOMEM.  A file that is not ours
 * is left as it is. */
enum evh_rc db_open(const struct db_options *options, sqlite3 **out, char why[DB_WHY_BYTES]);
void db_close(sqlite3 **db);

/* Prepares a statement to be kept (SQLITE_PREPARE_PERSISTENT). */
enum evh_rc db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out);

/* What an SQLite result code means for us; SQLITE_OK, ROW and DONE are EVH_OK. */
enum evh_rc db_rc(int sqlite_rc);

/* Runs statements that return nothing. */
enum evh_rc db_exec(sqlite3 *db, const char *sql);

/* True if the file was deleted, or replaced by another: what is written now is
 * lost. */
bool db_moved(sqlite3 *db);

/* Reads the epoch of the history of events from meta. */
enum evh_rc db_epoch(sqlite3 *db, char epoch[EVH_EPOCH_TEXT]);

/* Binds text that lives until the statement is reset; NULL binds NULL. */
void db_bind_text(sqlite3_stmt *stmt, int index, const char *text);

/* A text column, "" for NULL; lives until the next step. */
const char *db_text(sqlite3_stmt *stmt, int column);

#endif
