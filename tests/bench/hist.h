/* hist.h - a histogram of times, exact to 1.6 %.  Pure. */

#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stdint.h>

#define HIST_BITS 6 /* steps in each power of two */
#define HIST_SLOTS ((65 - HIST_BITS) << HIST_BITS)

struct hist {
	uint64_t count, max;
	uint64_t slots[HIST_SLOTS];
};

static inline unsigned
hist_slot(uint64_t value)
{
	unsigned shift;

	if (value < (1U << HIST_BITS))
		return (unsigned)value;
	shift = 63U - HIST_BITS - (unsigned)__builtin_clzll(value);
	return (shift << HIST_BITS) + (unsigned)(value >> shift);
}

static inline void
hist_add(struct hist *h, uint64_t value)
{
	h->count++;
	if (value > h->max)
		h->max = value;
	h->slots[hist_slot(value)]++;
}

/* The value that this share (0 to 1) of all values does not exceed; 0 if
 * there are none. */
uint64_t hist_at(const struct hist *h, double share);

#endif
