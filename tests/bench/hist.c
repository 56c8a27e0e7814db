#include "tests/bench/hist.h"

/* The largest value that falls into a slot. */
static uint64_t
slot_end(unsigned slot)
{
	unsigned shift = slot >> HIST_BITS;

	if (shift == 0)
		return slot;
	shift--;
	return (((uint64_t)(slot - (shift << HIST_BITS)) + 1) << shift) - 1;
}

uint64_t
hist_at(const struct hist *h, double share)
{
	uint64_t want = (uint64_t)(share * (double)h->count), seen = 0;

	for (unsigned i = 0; i < HIST_SLOTS && h->count > 0; i++) {
		seen += h->slots[i];
		if (seen > want || seen == h->count)
			return slot_end(i) < h->max ? slot_end(i) : h->max;
	}
	return 0;
}
