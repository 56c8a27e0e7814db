/* history.h - events that memory no longer holds, read from the database by
 * a thread of its own, because such a read may have to wait for a disk. */

#ifndef EVH_WSD_HISTORY_H
#define EVH_WSD_HISTORY_H

#include "wsd/hub.h"

struct history;

/* Starts the thread, which opens the database for reading.  why as in db_open. */
enum evh_rc history_start(struct history **out, const char *database, char *why);
void history_stop(struct history **history);

/* Becomes readable when a piece has been read. */
int history_fd(const struct history *history);

/* Asks for events after seq.  One at a time. */
void history_fetch(struct history *history, uint64_t seq);

/* Hands what has been read to the hub.  If the database could not be read it
 * is asked again. */
void history_completions(struct history *history, struct hub *hub);

#endif
