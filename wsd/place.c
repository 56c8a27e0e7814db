#include "wsd/place.h"

#include "common/db.h"

#include <string.h>
#include <sys/stat.h>

/* A lock or an error of the moment says nothing: the next look may. */
static enum place
look_inside(sqlite3 *db, const char *epoch, uint64_t head, uint64_t changes)
{
	char now[EVH_EPOCH_TEXT];
	sqlite3_stmt *stmt = NULL;
	enum place result = PLACE_SAME;

	if (db_epoch(db, now) == EVH_OK && strcmp(now, epoch) != 0)
		return PLACE_TURNED;
	if (db_prepare(db,
		    "SELECT (SELECT seq FROM v_event_head),"
		    " coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'change'), 0)",
		    &stmt) == EVH_OK &&
		sqlite3_step(stmt) == SQLITE_ROW &&
		((uint64_t)sqlite3_column_int64(stmt, 0) < head ||
			(uint64_t)sqlite3_column_int64(stmt, 1) < changes))
		result = PLACE_TURNED;
	(void)sqlite3_finalize(stmt);
	return result;
}

enum place
place_look(sqlite3 *db, const char *path, const char *epoch, uint64_t head, uint64_t changes)
{
	struct stat st;

	if (!db_moved(db))
		return look_inside(db, epoch, head, changes);
	/* who copies a file into place begins with an empty one */
	return stat(path, &st) == 0 && st.st_size > 0 ? PLACE_OTHER : PLACE_GONE;
}
