#include "wsd/catalog.h"

#include "common/db.h"

#define SELECT "SELECT name, persistent, mandatory FROM event_type"

static enum evh_rc
read_types(sqlite3 *db, const char *sql, struct grouping *types, const char *name)
{
	sqlite3_stmt *stmt = NULL;
	enum evh_rc rc = db_prepare(db, sql, &stmt);
	int step = SQLITE_DONE;

	if (rc == EVH_OK && name != NULL)
		db_bind_text(stmt, 1, name);
	while (rc == EVH_OK && (step = sqlite3_step(stmt)) == SQLITE_ROW)
		rc = grouping_set_type(types, db_text(stmt, 0), sqlite3_column_int(stmt, 1) != 0,
			sqlite3_column_int(stmt, 2) != 0);
	if (rc == EVH_OK)
		rc = db_rc(step);
	(void)sqlite3_finalize(stmt);
	return rc;
}

enum evh_rc
catalog_load(sqlite3 *db, struct grouping *types)
{
	return read_types(db, SELECT " ORDER BY rowid", types, NULL);
}

enum evh_rc
catalog_reload(sqlite3 *db, struct grouping *types, const char *name)
{
	struct evtype *t = grouping_any_type(types, name);

	if (t != NULL)
		t->exists = false; /* until the table says otherwise */
	return read_types(db, SELECT " WHERE name = ?1", types, name);
}
