/* headcount.h - how many there are of each address.
 *
 * An entry for each address of which somebody is there, and nothing else. */

#ifndef EVH_WSD_HEADCOUNT_H
#define EVH_WSD_HEADCOUNT_H

#include <stddef.h>
#include <stdint.h>

/* What counts as one address; see address_key. */
#define HEADCOUNT_KEY_BYTES 16

struct headcount;

/* One more of this address.  NULL if there are max of it, or no memory is left;
 * else what headcount_leave takes.  *all begins as NULL. */
struct headcount *
headcount_enter(struct headcount **all, const uint8_t key[HEADCOUNT_KEY_BYTES], size_t max);

/* One less.  NULL is taken for nobody. */
void headcount_leave(struct headcount **all, struct headcount *entry);

#endif
