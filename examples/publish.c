/* publish.c: cc -o publish publish.c -lsqlite3 && ./publish DATABASE */
#include <sqlite3.h>
#include <stdio.h>

int
main(int argc, char **argv)
{
	static const char sql[] = "INSERT INTO event(event_type, message, body)"
				  " VALUES('pdfm', 'VM_STATE_CHANGED', json_object('vm_id', '4711', 'from', 'C'))";
	sqlite3 *db = NULL;
	int failed = argc != 2 || sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
		sqlite3_busy_timeout(db, 5000) != SQLITE_OK || sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK;

	if (failed)
		fprintf(stderr, "%s\n", db != NULL ? sqlite3_errmsg(db) : "usage: publish DATABASE");
	sqlite3_close(db);
	return failed;
}
