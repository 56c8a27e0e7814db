/* place.h - is the database still the one that was opened?
 *
 * Somebody may put another file in its place, take it away, or restore a
 * backup into it, while the daemon runs.  Asked once a second. */

#ifndef EVH_WSD_PLACE_H
#define EVH_WSD_PLACE_H

#include <sqlite3.h>
#include <stdint.h>

enum place {
	PLACE_SAME,   /* or it cannot be told now */
	PLACE_GONE,   /* there is no file, or an empty one */
	PLACE_OTHER,  /* another file is there */
	PLACE_TURNED, /* the same file, with another history in it */
};

/* db is open on path; epoch is what it was, head an event and changes a row of change
 * that it had. */
enum place place_look(sqlite3 *db, const char *path, const char *epoch, uint64_t head, uint64_t changes);

#endif
