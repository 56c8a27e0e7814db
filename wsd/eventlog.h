/* eventlog.h - a stretch of the history of events, in memory.
 *
 * One log holds the recent past that live delivery reads; others hold pieces
 * of the older past, fetched from the database for those who are behind.  A
 * reader is a position: entries have consecutive positions, and sequence
 * numbers that never fall.  Events that are not persistent carry the sequence
 * number of the persistent one before them.
 * Pure: no I/O, no clock.  Not thread-safe: owned by the service loop. */

#ifndef EVH_WSD_EVENTLOG_H
#define EVH_WSD_EVENTLOG_H

#include "common/ids.h"
#include "common/rc.h"
#include "wsd/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* To whom an event is addressed.  Freed with free(). */
struct target {
	bool one_client; /* else: one user */
	uint8_t client[EVH_UUID_BYTES];
	char user[]; /* "" when it is one client */
};

struct target *target_client(const uint8_t id[EVH_UUID_BYTES]);
struct target *target_user(const char *user_id);

struct logentry {
	uint64_t seq;
	uint32_t type; /* number of the event type */
	bool persistent;
	struct frame *frame;
	struct target *target; /* NULL: for every subscriber */
};

struct eventlog {
	struct logentry *ring;
	size_t size;	   /* of the ring, a power of two */
	uint64_t first;	   /* position of the oldest entry */
	uint64_t next;	   /* position that the next entry will get */
	uint64_t base_seq; /* all events after this one are in here … */
	uint64_t head_seq; /* … up to and with this one */
	size_t bytes, budget;
};

/* An empty log that begins after the event base_seq and keeps at most about
 * budget bytes (0: everything). */
enum evh_rc eventlog_init(struct eventlog *log, uint64_t base_seq, size_t budget);
void eventlog_clear(struct eventlog *log);

/* Appends one event.  Takes over frame and target when it returns EVH_OK;
 * on EVH_NOMEM they stay the caller's and the log is unchanged.
 * entry->seq must not be less than head_seq, and greater if persistent.
 * May drop the oldest entries. */
enum evh_rc eventlog_append(struct eventlog *log, const struct logentry *entry);

/* What an entry counts against the budget. */
size_t eventlog_entry_bytes(const struct logentry *entry);

/* The entry at a position from first up to, not including, next. */
const struct logentry *eventlog_at(const struct eventlog *log, uint64_t pos);

/* The position of the first entry after the event seq; next if there is none.
 * Needs seq >= base_seq to be complete. */
uint64_t eventlog_find(const struct eventlog *log, uint64_t seq);

#endif
