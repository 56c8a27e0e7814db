/* checkpoint.h - copies the write-ahead log back into the database, beside the
 * writer and not within its commits.
 *
 * SQLite's own way is that the commit which fills the log pays for it: two
 * fsyncs, on a slow disk a good part of a second, in which nobody's event is
 * committed.  Here a thread with a connection of its own does it.  Only when
 * it cannot finish, because writing never pauses, does the writer help. */

#ifndef EVH_WSD_CHECKPOINT_H
#define EVH_WSD_CHECKPOINT_H

#include "common/conf.h"
#include "common/rc.h"

#include <sqlite3.h>

struct checkpoint;

/* Starts the thread, and has it told of the commits of writer, which is to be
 * closed after checkpoint_stop.  why as in db_open. */
enum evh_rc
checkpoint_start(struct checkpoint **out, const struct conf *conf, sqlite3 *writer, char *why);

/* Ends the thread, after the copying that it is at. */
void checkpoint_stop(struct checkpoint **checkpoint);

#endif
