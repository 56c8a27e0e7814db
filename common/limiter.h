/* limiter.h - how often something happened lately, address by address.
 *
 * A table of fixed size with one number per address: the moment at which all
 * that it has used will have come back (a token bucket, told as in GCRA).
 * When there is no room for another, the one that would have been forgotten
 * first is forgotten now: a flood of addresses makes the table forgetful, never
 * larger, and never holds against one address what another did.
 * Pure: the time is an argument.  Not thread-safe. */

#ifndef EVH_LIMITER_H
#define EVH_LIMITER_H

#include "common/rc.h"

#include <stddef.h>
#include <stdint.h>

#define LIMITER_KEY_BYTES 16

struct limiter;

/* What is allowed: count at once, and as many again in every period. */
struct limiter_rate {
	int64_t count;	/* at least 1 */
	int64_t period; /* µs */
};

/* A table for about slots addresses, 24 bytes each.  seed makes it unknowable
 * which addresses share a place.  EVH_OK or EVH_NOMEM. */
enum evh_rc limiter_new(struct limiter **out, size_t slots, uint64_t seed);
void limiter_free(struct limiter **limiter);

/* How long, in µs, until one more is allowed: 0 if it is now. */
int64_t limiter_wait(const struct limiter *limiter, const uint8_t key[LIMITER_KEY_BYTES],
	struct limiter_rate rate, int64_t now);

/* Counts one, whether it is allowed or not; no address owes more than a period. */
void limiter_count(struct limiter *limiter, const uint8_t key[LIMITER_KEY_BYTES],
	struct limiter_rate rate, int64_t now);

#endif
