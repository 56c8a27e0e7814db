/* wheel.h - a timing wheel: many deadlines, no work for those not due.
 *
 * Deadlines are counted in ticks; what a tick is, the caller decides.  One
 * turn has WHEEL_SLOTS ticks; later deadlines wait more turns.  The entries
 * are embedded in the caller's structs.  Pure. */

#ifndef EVH_WSD_WHEEL_H
#define EVH_WSD_WHEEL_H

#include <stdint.h>

#define WHEEL_SLOTS 64

struct wheel_entry {
	struct wheel_entry *prev, *next; /* NULL when not in a wheel */
	uint32_t due;			 /* tick */
};

struct wheel {
	struct wheel_entry slots[WHEEL_SLOTS]; /* heads of circular lists */
	struct wheel_entry ready;	       /* head of those whose deadline has come */
	uint32_t now;
};

void wheel_init(struct wheel *wheel);

/* Sets the deadline to after ticks from now, at least one; moves the entry if it is in. */
void wheel_set(struct wheel *wheel, struct wheel_entry *entry, uint32_t after);
void wheel_remove(struct wheel_entry *entry);

/* Goes one tick on; then take the entries that are due with wheel_due. */
void wheel_tick(struct wheel *wheel);

/* Takes out and returns one entry whose deadline has come, NULL if none is left. */
struct wheel_entry *wheel_due(struct wheel *wheel);

#endif
